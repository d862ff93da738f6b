// Messages over file descriptor 3 and the plain values in them, for Node: ../wire.h describes the
// bytes. Both sides run this text. Captures what it needs before foreign code runs.
'use strict';
const fs = require('node:fs');
const MAX_FRAME = 8 << 20;
const MAX_DEPTH = 64;

class NotPlain extends Error {}

function exactly(size) {
  const buffer = Buffer.alloc(size);
  for (let at = 0; at < size;) {
    const n = fs.readSync(3, buffer, at, size - at, null);
    if (n === 0) process.exit(0);  // the channel is closed
    at += n;
  }
  return buffer;
}

function receive() {
  const size = exactly(4).readUInt32LE(0);
  if (size < 1 || size > MAX_FRAME) process.exit(0);
  const frame = exactly(size);
  return [String.fromCharCode(frame[0]), frame.subarray(1)];
}

function send(kind, ...values) {
  const out = [];
  for (const value of values) encode(value, out, 0);
  const body = Buffer.concat(out);
  if (body.length + 1 > MAX_FRAME) throw new NotPlain('a value of ' + body.length + ' bytes');
  const head = Buffer.alloc(5);
  head.writeUInt32LE(body.length + 1, 0);
  head.write(kind, 4, 'latin1');
  const frame = Buffer.concat([head, body]);
  for (let at = 0; at < frame.length;) at += fs.writeSync(3, frame, at);
}

function counted(tag, n) {
  const head = Buffer.alloc(5);
  head.write(tag, 0, 'latin1');
  head.writeUInt32LE(n, 1);
  return head;
}

function text(tag, s) {
  const data = Buffer.from(s, 'utf8');
  return Buffer.concat([counted(tag, data.length), data]);
}

function encode(value, out, depth) {
  if (depth > MAX_DEPTH) throw new NotPlain('nested more than ' + MAX_DEPTH + ' deep');
  switch (typeof value) {
    case 'undefined':
      out.push(Buffer.from('X'), text('S', 'undefined'), Buffer.from('N'));
      return;
    case 'boolean':
      out.push(Buffer.from(value ? 'T' : 'F'));
      return;
    case 'number': {
      const number = Buffer.alloc(9);
      number.write('D', 0, 'latin1');
      number.writeDoubleLE(value, 1);
      out.push(number);
      return;
    }
    case 'bigint':
      out.push(text('I', value.toString(16)));
      return;
    case 'string':
      out.push(text('S', value));
      return;
    case 'object':
      break;
    default:
      throw new NotPlain('a value of type ' + typeof value);
  }
  if (value === null) {
    out.push(Buffer.from('N'));
  } else if (Array.isArray(value)) {
    out.push(counted('L', value.length));
    for (let i = 0; i < value.length; ++i) encode(value[i], out, depth + 1);
  } else if (value instanceof Set) {
    out.push(counted('E', value.size));
    for (const item of value) encode(item, out, depth + 1);
  } else if (value instanceof Map) {
    out.push(Buffer.from('X'), text('S', 'Map'), counted('M', value.size));
    for (const [k, v] of value) {
      encode(k, out, depth + 2);
      encode(v, out, depth + 2);
    }
  } else {
    const keys = Object.keys(value);
    out.push(counted('M', keys.length));
    for (const k of keys) {
      out.push(text('S', k));
      encode(value[k], out, depth + 1);
    }
  }
}

// All values of a message, made of this process's own types.
function decode(body) {
  const state = {body, at: 0};
  const values = [];
  while (state.at < body.length) values.push(decodeOne(state, 0));
  return values;
}

function take(state, n) {
  if (state.at + n > state.body.length) throw new NotPlain('a message that ends early');
  state.at += n;
  return state.body.subarray(state.at - n, state.at);
}

function decodeOne(state, depth) {
  if (depth > MAX_DEPTH) throw new NotPlain('nested more than ' + MAX_DEPTH + ' deep');
  const tag = String.fromCharCode(take(state, 1)[0]);
  if (tag === 'N') return null;
  if (tag === 'T') return true;
  if (tag === 'F') return false;
  if (tag === 'D') return take(state, 8).readDoubleLE(0);
  if (tag === 'X') {
    const name = decodeOne(state, depth + 1);
    const inner = decodeOne(state, depth + 1);
    if (name === 'undefined' && inner === null) return undefined;
    if (name === 'Map' && typeof inner === 'object' && inner !== null) return new Map(Object.entries(inner));
    throw new NotPlain('an unknown kind of value');
  }
  const count = take(state, 4).readUInt32LE(0);
  if (tag === 'S') return take(state, count).toString('utf8');
  if (tag === 'I') {
    const digits = take(state, count).toString('latin1');
    return digits.startsWith('-') ? -BigInt('0x' + digits.slice(1)) : BigInt('0x' + digits);
  }
  if (tag === 'L' || tag === 'E') {
    const items = [];
    for (let i = 0; i < count; ++i) items.push(decodeOne(state, depth + 1));
    return tag === 'L' ? items : new Set(items);
  }
  if (tag === 'M') {
    const found = {};
    for (let i = 0; i < count; ++i) {
      const key = decodeOne(state, depth + 1);
      if (typeof key !== 'string') throw new NotPlain('a key that is not a string');
      const value = decodeOne(state, depth + 1);
      Object.defineProperty(found, key, {value, writable: true, enumerable: true, configurable: true});
    }
    return found;
  }
  throw new NotPlain('an unknown kind of value');
}
