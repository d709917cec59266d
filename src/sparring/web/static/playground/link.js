// The wire to the server: JSON one way, JSON and packed arrays the other. Each frame is acknowledged once it was drawn.

const decoder = new TextDecoder();

/** The header of a binary message, with its arrays as {data, shape} under `arrays`. */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(decoder.decode(new Uint8Array(buffer, 4, length)));
  const arrays = {};
  for (const [name, [, shape, offset]] of Object.entries(header.arrays)) {
    const count = shape.reduce((product, side) => product * side, 1);
    arrays[name] = { data: new Float32Array(buffer, 4 + length + offset, count), shape };
  }
  return { ...header, arrays };
}

/** The arrays whose names begin with "0.", without it. */
export function ofSide(arrays, side) {
  const start = `${side}.`;
  return Object.fromEntries(Object.entries(arrays).filter(([name]) => name.startsWith(start)).map(([name, value]) => [name.slice(start.length), value]));
}

export class Link {
  /** on: functions by what a message is, such as `frame`; `closed` when the server is gone. */
  constructor(on) {
    this.on = on;
    this.waiting = [];
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/session`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.waiting.splice(0).forEach((text) => this.socket.send(text));
    this.socket.onmessage = (event) => {
      const message = typeof event.data === "string" ? JSON.parse(event.data) : unpack(event.data);
      this.on[message.is]?.(message);
    };
    this.socket.onclose = () => this.on.closed?.();
  }

  say(what, more = {}) {
    const text = JSON.stringify({ do: what, ...more });
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(text);
    else if (this.socket.readyState === WebSocket.CONNECTING) this.waiting.push(text);
  }
}
