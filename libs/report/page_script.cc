#include "libs/report/page.h"

namespace hone {

absl::string_view PageScript() {
  return R"js((() => {
  'use strict';
  const data = JSON.parse(document.getElementById('curves').textContent);
  const superscript = n => String(n).replace(/[-0-9]/g, c => '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'['-0123456789'.indexOf(c)]);
  const number = v => {
    const a = Math.abs(v);
    if (a === 0) return '0';
    if (a >= 1e15 || a < 1e-3) {
      const [m, e] = v.toExponential(2).split('e');
      return Number(m) + '×10' + superscript(Number(e));
    }
    for (const [limit, unit] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e4, 'k']])
      if (a >= 0.9995 * limit) return Number((v / (limit === 1e4 ? 1e3 : limit)).toPrecision(3)) + ' ' + unit;
    return a >= 100 ? v.toFixed(0) : String(Number(v.toPrecision(3)));
  };
  const percent = v => {
    const p = 100 * v;
    return (p !== 0 && Math.abs(p) < 0.05 ? number(p) : p.toFixed(1)) + ' %';
  };
  const grouped = n => String(n).replace(/\B(?=(\d{3})+$)/g, ' ');

  // Index of the point of the curve that is nearest to the step.
  const nearest = (xs, step) => {
    let low = 0, high = xs.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (xs[middle] < step) low = middle + 1; else high = middle;
    }
    return low > 0 && step - xs[low - 1] <= xs[low] - step ? low - 1 : low;
  };
  const stepAt = (axis, x) => {
    const s = axis.find(s => x <= s[3]) || axis[axis.length - 1];
    return s[0] + (s[1] - s[0]) * Math.min(1, Math.max(0, (x - s[2]) / (s[3] - s[2])));
  };
  const placeOf = (axis, step) => {
    const s = axis.find(s => step >= s[0] && step <= s[1]);
    return s ? s[2] + (s[3] - s[2]) * (step - s[0]) / (s[1] - s[0]) : null;
  };

  const panels = [...document.querySelectorAll('.panel[data-i]')].map(figure => {
    const {a: axis, c: chart} = data[Number(figure.dataset.i)];
    const values = [...figure.querySelectorAll('.legend .key b')];
    const at = figure.querySelector('.at b');
    return {figure, axis, chart, values, at, field: figure.querySelector('.field'),
            cursor: figure.querySelector('.cursor'),
            rest: [...values, at].map(node => node.textContent)};
  });
  const show = (panel, step) => {
    const place = step === null ? null : placeOf(panel.axis, step);
    panel.figure.classList.toggle('reading', place !== null);
    if (place === null) {
      [...panel.values, panel.at].forEach((node, i) => { node.textContent = panel.rest[i]; });
      return;
    }
    panel.cursor.style.left = 100 * place + '%';
    panel.at.textContent = grouped(Math.round(step));
    panel.chart.s.forEach((curve, i) => {
      const y = curve.y[nearest(curve.x, step)];
      panel.values[i].textContent = y === null ? 'n/a' : panel.chart.p ? percent(y) : number(y);
    });
  };
  for (const panel of panels) {
    const move = event => {
      const box = panel.field.getBoundingClientRect();
      const wanted = stepAt(panel.axis, (event.clientX - box.left) / box.width);
      // Snap to a step that this panel has.
      let step = null;
      for (const curve of panel.chart.s) {
        const x = curve.x[nearest(curve.x, wanted)];
        if (step === null || Math.abs(x - wanted) < Math.abs(step - wanted)) step = x;
      }
      for (const other of panels) show(other, step);
    };
    panel.field.addEventListener('pointermove', move);
    panel.field.addEventListener('pointerdown', move);
    panel.field.addEventListener('pointerleave', () => { for (const other of panels) show(other, null); });
  }
})();
)js";
}

}  // namespace hone
