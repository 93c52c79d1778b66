// A broadcast server that lies in one way: wsload must notice each of them.
//   node liar.js PORT none|drop|dup|swap|corrupt|accept|masked|rsv|close|stall|refuse|ext|misroute|split|ping
// misroute is for the scenario private ("NUMBER TEXT" goes to a wrong client now and then).
const net = require('net'), crypto = require('crypto');
const port = Number(process.argv[2]), lie = process.argv[3];
const socks = []; let count = 0, held = null;
function frame(text, first = 0x81) {
  const p = Buffer.from(text, 'latin1'), h = p.length < 126 ? Buffer.from([first, p.length])
    : Buffer.from([first, 126, p.length >> 8, p.length & 255]);
  return Buffer.concat([h, p]);
}
function all(b) { for (const s of socks) s.write(b); }
function message(text, from) {
  const n = ++count, odd = n % 50 === 0;
  if (lie === 'route' || lie === 'misroute') {
    const sp = text.indexOf(' '), to = Number(text.slice(0, sp));
    const s = socks[lie === 'misroute' && odd ? (to + 2) % socks.length : to];
    return s.write(frame(text.slice(sp + 1)));
  }
  if (lie === 'drop' && odd) { for (const s of socks.slice(1)) s.write(frame(text)); return; }
  if (lie === 'dup' && odd) socks[0].write(frame(text));
  if (lie === 'swap' && odd) { held = frame(text); return; }
  if (lie === 'corrupt' && odd) text = text.slice(0, -1) + 'y';
  if (lie === 'stall' && n > 50) return;
  if (lie === 'ping' && odd) all(frame('are you there', 0x89));
  if (lie === 'close' && odd) { socks[0].end(frame('\x03\xe8bye', 0x88)); socks.shift(); }
  if (lie === 'rsv' && odd) return all(frame(text, 0xc1));
  if (lie === 'masked' && odd) return all(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]));
  if (lie === 'split') { // every frame torn into two writes
    const b = frame(text); all(b.subarray(0, 20)); setImmediate(() => all(b.subarray(20))); return;
  }
  all(frame(text));
  if (held) { all(held); held = null; }
}
net.createServer((s) => {
  let buf = Buffer.alloc(0), open = false;
  s.setNoDelay(true); s.on('error', () => {}); s.on('close', () => { const i = socks.indexOf(s); if (i >= 0) socks.splice(i, 1); });
  s.on('data', (d) => {
    buf = Buffer.concat([buf, d]);
    if (!open) {
      const end = buf.indexOf('\r\n\r\n'); if (end < 0) return;
      const head = buf.toString('latin1', 0, end); buf = buf.subarray(end + 4);
      if (lie === 'refuse') return s.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
      let acc = crypto.createHash('sha1').update(/Sec-WebSocket-Key: (\S+)/i.exec(head)[1] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
      if (lie === 'accept') acc = acc.toLowerCase();
      s.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nconnection: upgrade\r\n' +
        (lie === 'ext' ? 'Sec-WebSocket-Extensions: permessage-deflate\r\n' : '') + `sec-websocket-accept: ${acc}\r\n\r\n`);
      open = true; socks[Number(/user=u(\d+)/.exec(head)[1])] = s;
    }
    while (buf.length >= 6) {
      let n = buf[1] & 127, h = 2; if (n === 126) { if (buf.length < 8) return; n = buf.readUInt16BE(2); h = 4; }
      if (buf.length < h + 4 + n) return;
      const key = buf.subarray(h, h + 4), p = Buffer.from(buf.subarray(h + 4, h + 4 + n));
      for (let i = 0; i < n; i++) p[i] ^= key[i & 3];
      const op = buf[0] & 15; buf = buf.subarray(h + 4 + n);
      if (op === 10 && lie === 'ping') { if (p.toString() === 'are you there') module.pongs = (module.pongs || 0) + 1; } else if (op < 3) message(p.toString('latin1'), s);
    }
  });
}).listen(port, '127.0.0.1', 4096, function () { console.log('port', this.address().port); });
process.on('SIGTERM', () => { if (lie === 'ping') console.log('pongs', module.pongs); process.exit(0); });
