// The side of the program under test. Nothing here is trusted: all that leaves it are values.
const why = (error) => [
  String(error && error.name || typeof error).slice(0, 100),
  String(error && error.message || error).slice(0, 500),
];

(function main() {
  const [, body] = receive();
  const [source, name] = decode(body);
  let target;
  try {
    // One function scope, so that `const f = ...` is found as well as `function f`.
    target = new Function('require', 'module', 'exports',
                          source + '\n;return ' + name + ';')(require, module, exports);
  } catch (error) {
    send('x', ...why(error));
    process.exit(0);
  }
  send('o');
  while (true) {
    const [, call] = receive();
    try {
      const [, argumentList] = decode(call);
      send('v', target(...argumentList));
    } catch (error) {
      send('x', ...why(error));
    }
  }
})();
