// The trusted side: runs the tests of the data set. The function under test is a proxy whose calls
// travel to another process; what comes back is made here, of this process's own types.
class Gone extends Error {}
class CandidateError extends Error {}

function ask(...argumentList) {
  send('c', 'call', argumentList);
  const [kind, body] = receive();
  if (kind === 'g') throw new Gone(decode(body)[0]);
  const values = decode(body);
  if (kind === 'v') return values[0];
  throw new CandidateError(values[0] + ': ' + values[1]);
}

// `assert` of the tests: every call of it is a test. Goes on after a failure where `every` says so.
function counting(module, tally, every) {
  const count = (f) => (...argumentList) => {
    ++tally.reached;
    try {
      f(...argumentList);
      ++tally.passed;
    } catch (error) {
      tally.why = tally.why || String(error.message).slice(0, 300);
      if (!every) throw error;
    }
  };
  const counted = count(module);
  for (const [name, f] of Object.entries(module))
    if (typeof f === 'function' && !/^[A-Z]/.test(name)) counted[name] = count(f);
  counted.strict = counted;
  return counted;
}

(function main() {
  const [, body] = receive();
  const [tests, name, every] = decode(body);
  const tally = {reached: 0, passed: 0, why: ''};
  const assert = counting(require('node:assert'), tally, every);
  const own = (wanted) => (/^(node:)?assert$/.test(wanted) ? assert : require(wanted));
  let run;
  try {
    run = new Function('require', 'assert_', name, tests);
  } catch (error) {
    send('b', 'the tests do not parse: ' + error.message);
    process.exit(0);
  }
  let broken = '';
  try {
    run(own, assert, ask);
  } catch (error) {
    broken = String(error.message).slice(0, 300) || 'an exception';
  }
  // What was not reached because the tests broke off counts as one more test.
  const whole = broken === '' || tally.why !== '';
  const total = Math.max(tally.reached + (whole ? 0 : 1), 1);
  const passed = whole && tally.reached === 0 ? 1 : tally.passed;
  send('e', BigInt(passed), BigInt(total), tally.why || broken);
  process.exit(0);
})();
