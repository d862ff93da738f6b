#include "libs/report/page.h"

namespace hone {

absl::string_view PageStyle() {
  return R"css(:root {
  --paper: #fbfaf7; --card: #ffffff; --ink: #1c1f24; --soft: #5c626b; --faint: #8b9099;
  --rule: #e3e0d8; --grid: #ebe8e1; --bound: #a9a496;
  --c1: #1f5f9e; --c2: #c8571b; --c3: #2c8561; --c4: #8a4f9e; --c5: #a17c10;
  --good: #1f7a50; --bad: #b3372c; --think: #6a6f78; --tag: #a5a9b0; --wash: #f3f1ea;
  --w1: #b9bec7; --w2: #d2d6dc; --w3: #949ba7; --w4: #e6e8eb; --muted: #7f9ab5;
  --sans: "Inter", "Source Sans 3", "Segoe UI", system-ui, -apple-system, "Helvetica Neue", "Liberation Sans", Arial, sans-serif;
  --serif: "Source Serif 4", "Iowan Old Style", "Palatino Linotype", Palatino, Charter, "Liberation Serif", Georgia, serif;
  --mono: "JetBrains Mono", "SF Mono", Consolas, "Liberation Mono", Menlo, monospace;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #15171b; --card: #1c1f24; --ink: #e8e6e1; --soft: #a3a8b0; --faint: #767c86;
    --rule: #2e3238; --grid: #292d33; --bound: #6d6a61;
    --c1: #6aaeea; --c2: #f0935a; --c3: #62c89b; --c4: #c792db; --c5: #d9b64a;
    --good: #62c89b; --bad: #ef8178; --think: #9a9fa8; --tag: #666c76; --wash: #22262c;
    --w1: #4a505a; --w2: #343941; --w3: #69717d; --w4: #262a30; --muted: #54708c;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 var(--sans);
  font-variant-numeric: tabular-nums; }
main { max-width: 1240px; margin: 0 auto; padding: 48px 32px 96px; }
h1, h2 { font-family: var(--serif); font-weight: 600; line-height: 1.15; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h1 { font-size: 42px; margin: 0 0 20px; }
h2 { font-size: 25px; margin: 0 0 18px; padding-top: 16px; border-top: 1px solid var(--rule); }
h3 { font-size: 15px; font-weight: 600; margin: 0; }
p { margin: 0 0 10px; }
dl, dd, ul { margin: 0; padding: 0; list-style: none; }
section { margin-top: 52px; }
.kicker { margin: 0 0 6px; color: var(--soft); font-size: 13px; letter-spacing: 0.08em; text-transform: uppercase; }
.state { display: inline-block; vertical-align: middle; margin-left: 8px; padding: 3px 10px; border: 1px solid currentColor;
  border-radius: 99px; font: 600 13px/1.4 var(--sans); letter-spacing: 0; color: var(--soft); }
.state.succeeded { color: var(--good); } .state.failed, .state.cancelled { color: var(--bad); } .state.running { color: var(--c1); }
.message { color: var(--bad); max-width: 80ch; overflow-wrap: anywhere; }
.facts { display: flex; flex-wrap: wrap; gap: 10px 36px; }
.facts dt, .figure dt { color: var(--soft); font-size: 13px; }
.facts dd { overflow-wrap: anywhere; }
.notes { max-width: 72ch; margin-top: 32px; }
.notes h2 { border: 0; padding: 0; font-size: 20px; margin-bottom: 8px; }
.lead, .foot { color: var(--soft); max-width: 80ch; }
.foot { font-size: 13px; margin-top: 16px; }
.none { color: var(--faint); }

.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); gap: 26px 28px;
  margin-top: 34px; padding: 26px 0 0; border-top: 2px solid var(--ink); }
.figure dd { font: 600 27px/1.25 var(--serif); white-space: nowrap; }
.figure dd.detail { font: 13px/1.45 var(--sans); color: var(--soft); white-space: normal; overflow-wrap: anywhere; }
.figure.good dd:not(.detail) { color: var(--good); } .figure.bad dd:not(.detail) { color: var(--bad); }
.figure.lead { max-width: none; color: inherit; } .figure.lead dd:not(.detail) { color: var(--c1); }

.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(350px, 100%), 1fr)); gap: 34px 36px; }
.panel { margin: 0; min-width: 0; display: flex; flex-direction: column; break-inside: avoid; }
figcaption { flex: 1; }
.panel.wide h3 { font: 600 25px/1.2 var(--serif); letter-spacing: -0.01em; margin-bottom: 4px; }
.why { margin: 0; color: var(--soft); font-size: 13px; }
.legend { display: flex; flex-wrap: wrap; gap: 0 16px; margin: 4px 0 6px; font-size: 13px; }
.legend b { font-weight: 600; }
.key::before { content: ""; display: inline-block; width: 14px; height: 3px; border-radius: 2px; margin-right: 6px;
  vertical-align: 3px; background: currentColor; }
.key { color: var(--soft); }
.key.c1::before { color: var(--c1); } .key.c2::before { color: var(--c2); } .key.c3::before { color: var(--c3); }
.key.c4::before { color: var(--c4); } .key.c5::before { color: var(--c5); }
.key b { color: var(--ink); }
.head { display: flex; align-items: baseline; gap: 12px; }
.at { margin-left: auto; color: var(--faint); font-size: 13px; white-space: nowrap; } .at b { font-weight: 400; }
.reading .at { color: var(--ink); }
.plot { padding: 8px 14px 26px 52px; }
.plot.staged { padding-top: 24px; }
.field { position: relative; height: 140px; touch-action: pan-y; cursor: crosshair; }
.tall .field { height: 300px; }
.field svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.field path { fill: none; vector-effect: non-scaling-stroke; }
.field .grid { stroke: var(--grid); stroke-width: 1; }
.bound { stroke: var(--bound); stroke-width: 1; stroke-dasharray: 3 3; }
.line { stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
.line.pale { stroke-width: 1; opacity: 0.32; }
.dots { stroke-width: 7; stroke-linecap: round; }
.line.c1, .dots.c1 { stroke: var(--c1); } .line.c2, .dots.c2 { stroke: var(--c2); } .line.c3, .dots.c3 { stroke: var(--c3); }
.line.c4, .dots.c4 { stroke: var(--c4); } .line.c5, .dots.c5 { stroke: var(--c5); }
.field .area.c1 { fill: var(--c1); } .field .area.c2 { fill: var(--c2); } .field .area.c3 { fill: var(--c3); }
.area { opacity: 0.85; }
.y, .x, .stage { position: absolute; font-size: 12px; line-height: 1; color: var(--soft); white-space: nowrap; }
.y { right: 100%; margin-right: 8px; transform: translateY(50%); }
.x { top: 100%; margin-top: 8px; transform: translateX(-50%); }
.stage { bottom: 100%; margin-bottom: 6px; padding-left: 4px; overflow: hidden; text-overflow: ellipsis; color: var(--faint); line-height: 1.2; }
.cursor { position: absolute; top: 0; bottom: 0; width: 1px; background: var(--ink); opacity: 0; pointer-events: none; }
.reading .cursor { opacity: 0.55; }
.panel.absent .none, .panel.absent .zero { display: flex; align-items: center; justify-content: center; min-height: 140px; margin: 8px 0 26px;
  border: 1px dashed var(--rule); font-size: 13px; }
.panel.absent .zero { border-style: solid; color: var(--good); font-size: 15px; }

.ledger { margin-top: 24px; break-inside: avoid; }
.ledger h3 span { font-weight: 400; color: var(--soft); margin-left: 8px; }
.bar { display: flex; height: 26px; margin: 8px 0; gap: 1px; }
.bar i { display: block; min-width: 1px; }
.bar i:first-child { border-radius: 3px 0 0 3px; } .bar i:last-child { border-radius: 0 3px 3px 0; }
.ledger ul { display: flex; flex-wrap: wrap; gap: 2px 20px; font-size: 13px; }
.ledger li i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px; }
.ledger li b { font-weight: 600; } .ledger li span { color: var(--soft); }
.s1 { background: var(--c1); } .s2 { background: var(--c3); } .s3 { background: var(--c2); } .s4 { background: var(--c4); }
.s5 { background: var(--c5); } .s6 { background: var(--muted); } .s7 { background: var(--w1); } .s8 { background: var(--w3); }
.s9 { background: var(--w2); } .s10 { background: var(--w4); }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { font-weight: 400; font-size: 13px; color: var(--soft); vertical-align: bottom; }
th, td { padding: 6px 0 6px 18px; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
.t { text-align: left; padding-left: 0; }
td.t { max-width: 22ch; overflow: hidden; text-overflow: ellipsis; }
tr.note td { text-align: left; white-space: normal; color: var(--soft); font-size: 13px; }

.pair + .pair { margin-top: 40px; padding-top: 24px; border-top: 1px solid var(--rule); }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(380px, 100%), 1fr)); gap: 20px 36px; }
.sides > div { min-width: 0; }
.prompt-id { color: var(--soft); font-size: 13px; margin: 0 0 4px; overflow-wrap: anywhere; }
pre { margin: 0; font: 13px/1.55 var(--mono); white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; }
pre.prompt { padding: 10px 14px; background: var(--wash); border-radius: 4px; margin-bottom: 18px; }
h4 { font-size: 15px; font-weight: 600; margin: 0 0 2px; } h4 span { font-weight: 400; color: var(--soft); margin-left: 6px; }
.marks { font-size: 14px; margin-bottom: 12px; } .marks i { font-style: normal; margin-right: 3px; } .marks span { color: var(--soft); margin-left: 6px; }
.marks .right { color: var(--good); } .marks .wrong { color: var(--bad); } .marks .unscored { color: var(--faint); }
article { padding: 12px 16px 14px; margin-bottom: 14px; background: var(--card); border: 1px solid var(--rule); border-radius: 6px;
  break-inside: avoid; }
article header { display: flex; flex-wrap: wrap; gap: 0 12px; font-size: 13px; margin-bottom: 8px; }
article.right .mark { color: var(--good); } article.wrong .mark { color: var(--bad); } article.unscored .mark { color: var(--faint); }
article .facts { color: var(--soft); margin-left: auto; }
.think { color: var(--think); } .tag { color: var(--tag); } .answer { color: var(--c1); font-weight: 600; }
.cut { color: var(--faint); font-style: italic; }
.parts { margin-top: 10px; padding-top: 8px; border-top: 1px solid var(--rule); font-size: 13px; }
.parts b { font-weight: 600; margin-right: 4px; } .parts span { color: var(--soft); margin-left: 6px; overflow-wrap: anywhere; }

@media (max-width: 640px) {
  main { padding: 28px 16px 64px; }
  h1 { font-size: 32px; }
  .figures { grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); gap: 20px; }
  .figure dd { font-size: 22px; }
  .figure.lead { grid-column: 1 / -1; }
  .tall .field { height: 210px; }
  .facts { flex-direction: column; gap: 8px; }
}
@media print {
  body { font-size: 11px; } main { max-width: none; padding: 0; }
  .grid { grid-template-columns: repeat(3, 1fr); gap: 18px 20px; } .field { height: 90px; } .tall .field { height: 200px; }
  .sides { grid-template-columns: 1fr 1fr; } section { margin-top: 26px; } h2 { break-after: avoid; }
  table { font-size: 9px; } th { font-size: 9px; } th, td { padding: 4px 0 4px 8px; } .scroll { overflow: visible; }
  .bar i, .ledger li i, .key::before, pre.prompt { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
)css";
}

}  // namespace hone
