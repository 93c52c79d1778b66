/*
 * client: a WebSocket client on a bare socket, for saying exactly the bytes
 * that a test wants to say, wrong ones too, and for seeing exactly those that
 * come back. Every wait has a limit.
 *
 *	const c = await Client.connect(port);
 *	await c.open('/ws?user=alice');       // throws unless 101
 *	c.text('hello');
 *	assert.equal(await c.heard(), 'alice says: hello');
 *	await c.close();                      // close handshake, then EOF
 */
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const net = require('node:net');

const WAIT_MS = 20000;
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
const OP = {CONT: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10};

/* A masked frame as a client sends it; every bit can be chosen. */
function frame(opcode, payload = '', options = {}) {
	const data = Buffer.from(payload);
	const {fin = true, rsv = 0, masked = true, length = data.length} =
	    options;
	const wide = options.wide ?? (length > 65535 ? 8 : length > 125 ? 2 : 0);
	const head = Buffer.alloc(2 + wide + (masked ? 4 : 0));
	head[0] = (fin ? 0x80 : 0) | rsv << 4 | opcode;
	head[1] = (masked ? 0x80 : 0) |
	    (wide === 8 ? 127 : wide === 2 ? 126 : length);
	if (wide === 8)
		head.writeBigUInt64BE(BigInt(length), 2);
	else if (wide === 2)
		head.writeUInt16BE(length, 2);
	if (!masked)
		return Buffer.concat([head, data]);
	const mask = options.mask ?? crypto.randomBytes(4);
	mask.copy(head, 2 + wide);
	const body = Buffer.allocUnsafe(data.length);
	for (let i = 0; i < data.length; i++)
		body[i] = data[i] ^ mask[i & 3];
	return Buffer.concat([head, body]);
}

/* One message as frames of at most `size` bytes of payload. */
function fragments(opcode, payload, size) {
	const data = Buffer.from(payload);
	const out = [];
	for (let at = 0; at === 0 || at < data.length; at += size)
		out.push(frame(at === 0 ? opcode : OP.CONT,
		    data.subarray(at, at + size),
		    {fin: at + size >= data.length}));
	return out;
}

/* The payload of a close frame. */
function closePayload(code, reason = '') {
	const head = Buffer.alloc(2);
	head.writeUInt16BE(code);
	return Buffer.concat([head, Buffer.from(reason)]);
}

/* An upgrade request; `fields` replaces (null removes) or adds fields. */
function request(target, fields = {}, method = 'GET', version = 'HTTP/1.1') {
	const all = {
		'Host': 'localhost',
		'Upgrade': 'websocket',
		'Connection': 'Upgrade',
		'Sec-WebSocket-Key': KEY,
		'Sec-WebSocket-Version': '13',
		...fields
	};
	let text = `${method} ${target} ${version}\r\n`;
	for (const [name, value] of Object.entries(all))
		for (const v of Array.isArray(value) ? value : [value])
			if (v !== null)
				text += `${name}: ${v}\r\n`;
	return text + '\r\n';
}

/* All clients that are open, so that a failed test leaves none behind. */
const everyone = new Set();

class Client {
	constructor(socket) {
		this.socket = socket;
		this.chunks = [];
		this.have = 0;
		this.ended = false;   /* the server's FIN has come */
		this.error = null;    /* code of a socket error */
		this.waiter = null;
		everyone.add(this);
		socket.setNoDelay(true);
		socket.on('data', (data) => {
			this.chunks.push(data);
			this.have += data.length;
			this.wake();
		});
		socket.on('end', () => {
			this.ended = true;
			this.wake();
		});
		socket.on('error', (error) => {
			this.error = error.code;
			this.wake();
		});
		socket.on('close', () => {
			everyone.delete(this);
			this.gone = true;
			this.wake();
		});
	}

	/* Connects; half-open, so that the server's FIN does not end ours. */
	static connect(port, host = '127.0.0.1', options = {}) {
		return new Promise((resolve, reject) => {
			const socket = net.connect({port, host,
			    allowHalfOpen: true, ...options});
			socket.once('error', reject);
			socket.once('connect', () => {
				socket.removeListener('error', reject);
				resolve(new Client(socket));
			});
		});
	}

	/* Connects and opens a WebSocket. */
	static async open(port, target, fields) {
		const c = await Client.connect(port);
		await c.open(target, fields);
		return c;
	}

	/* A plain door connection of that user. */
	static user(port, name, device) {
		return Client.open(port, '/ws?user=' + encodeURIComponent(name) +
		    (device ? '&device=' + encodeURIComponent(device) : ''));
	}

	wake() {
		const waiter = this.waiter;
		this.waiter = null;
		if (waiter)
			waiter();
	}

	/* Waits until ready() is true; throws at the limit and at EOF. */
	async wait(what, ready, ms = WAIT_MS) {
		const limit = Date.now() + ms;
		while (!ready()) {
			if (this.error || this.ended || this.gone)
				throw new Error(`waiting for ${what}: ` +
				    (this.error ?? 'the server closed'));
			const left = limit - Date.now();
			if (left <= 0)
				throw new Error(`no ${what} within ${ms} ms`);
			let timer;
			await new Promise((resolve) => {
				this.waiter = resolve;
				timer = setTimeout(resolve, left);
			});
			clearTimeout(timer);
		}
	}

	/* The first n bytes that have come, left where they are. */
	peek(n) {
		if (this.chunks.length > 1 && this.chunks[0].length < n)
			this.chunks = [Buffer.concat(this.chunks)];
		return this.chunks.length ? this.chunks[0].subarray(0, n) :
		    Buffer.alloc(0);
	}

	/* Takes the first n bytes that have come. */
	take(n) {
		if (n === 0)
			return Buffer.alloc(0);
		const out = this.peek(n);
		assert.equal(out.length, n);
		this.have -= n;
		if (this.chunks[0].length === n)
			this.chunks.shift();
		else
			this.chunks[0] = this.chunks[0].subarray(n);
		return out;
	}

	/* Sends bytes as they are; resolves when the kernel has them. */
	write(bytes) {
		return new Promise((resolve) => {
			if (this.gone || this.socket.destroyed)
				resolve();
			else
				this.socket.write(bytes, () => resolve());
		});
	}

	/* Sends bytes in pieces, each with a write of its own. */
	async chop(bytes, size = 1) {
		const data = Buffer.from(bytes);
		for (let at = 0; at < data.length; at += size) {
			await this.write(data.subarray(at, at + size));
			if (this.error)
				return;
		}
	}

	send(opcode, payload, options) {
		return this.write(frame(opcode, payload, options));
	}

	text(payload) {
		return this.send(OP.TEXT, payload);
	}

	/* The head of an HTTP answer: {status, fields (lower case names)}. */
	async head(ms) {
		let end;
		await this.wait('answer', () => {
			end = this.peek(this.have).indexOf('\r\n\r\n');
			return end >= 0;
		}, ms);
		const raw = this.take(end + 4).toString('latin1');
		const lines = raw.slice(0, -4).split('\r\n');
		const m = /^HTTP\/1\.1 (\d{3}) [ -~]+$/.exec(lines[0]);
		assert.ok(m, `status line ${JSON.stringify(lines[0])}`);
		const fields = {};
		for (const line of lines.slice(1)) {
			const f = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?(.*)$/.exec(line);
			assert.ok(f, `field ${JSON.stringify(line)}`);
			const name = f[1].toLowerCase();
			assert.ok(!(name in fields), `two ${name} fields`);
			fields[name] = f[2].trim();
		}
		return {status: Number(m[1]), fields, raw};
	}

	/* A whole answer with a Content-Length: head and body. */
	async answer(ms) {
		const answer = await this.head(ms);
		const length = Number(answer.fields['content-length']);
		assert.ok(Number.isInteger(length),
		    `Content-Length in ${JSON.stringify(answer.raw)}`);
		await this.wait('body', () => this.have >= length, ms);
		answer.body = this.take(length).toString();
		return answer;
	}

	/* Upgrades; throws unless the answer is a proper 101. */
	async open(target, fields) {
		this.write(request(target, fields));
		return this.opened();
	}

	/* Checks the 101 of a request with KEY that was sent. */
	async opened() {
		const answer = await this.head();
		assert.equal(answer.status, 101, answer.raw +
		    this.peek(this.have));
		assert.equal(answer.fields.upgrade.toLowerCase(), 'websocket');
		assert.equal(answer.fields.connection.toLowerCase(), 'upgrade');
		assert.equal(answer.fields['sec-websocket-accept'], ACCEPT);
		assert.ok(!('sec-websocket-extensions' in answer.fields));
		assert.ok(!('sec-websocket-protocol' in answer.fields));
		return answer;
	}

	/* The next frame: {opcode, fin, rsv, payload}, checked as a server's. */
	async frame(ms) {
		await this.wait('frame', () => this.have >= 2, ms);
		let head = this.peek(2);
		assert.equal(head[1] & 0x80, 0, 'a server masks nothing');
		let length = head[1] & 0x7f, size = 2;
		if (length >= 126) {
			size = length === 126 ? 4 : 10;
			await this.wait('frame head', () => this.have >= size, ms);
			head = this.peek(size);
			length = size === 4 ? head.readUInt16BE(2) :
			    Number(head.readBigUInt64BE(2));
			assert.ok(length > (size === 4 ? 125 : 65535),
			    'minimal length');
		}
		const out = {opcode: head[0] & 15, fin: head[0] >= 128,
		    rsv: head[0] >> 4 & 7};
		await this.wait('payload', () => this.have >= size + length, ms);
		this.take(size);
		out.payload = this.take(length);
		assert.equal(out.rsv, 0, 'reserved bits');
		return out;
	}

	/* The next frame, which must be whole and of that opcode. */
	async expect(opcode, payload, ms) {
		const f = await this.frame(ms);
		const about = () => `opcode ${f.opcode}, ` +
		    JSON.stringify(f.payload.subarray(0, 40).toString());
		assert.equal(f.opcode, opcode, about());
		assert.ok(f.fin, 'final');
		if (payload !== undefined &&
		    !Buffer.from(payload).equals(f.payload))
			assert.fail(`payload of ${f.payload.length}, ` + about() +
			    `, expected ${payload.length}, ` +
			    JSON.stringify(payload.slice(0, 40).toString()));
		return f.payload;
	}

	/* The next message, which must be text. */
	async heard(ms) {
		return (await this.expect(OP.TEXT, undefined, ms)).toString();
	}

	/* That nothing has been sent to us so far: the next frame is our pong. */
	async quiet() {
		const mark = crypto.randomBytes(6).toString('hex');
		this.send(OP.PING, mark);
		await this.expect(OP.PONG, mark);
	}

	/* The server's close frame comes next: {code (0: none), reason}. */
	async closing(ms) {
		const payload = await this.expect(OP.CLOSE, undefined, ms);
		assert.notEqual(payload.length, 1);
		return {code: payload.length ? payload.readUInt16BE(0) : 0,
		    reason: payload.subarray(2).toString()};
	}

	/* The server closes with that code (skipping data before); we answer as
	 * a client does, then comes its FIN. */
	async closed(code, reason, ms = WAIT_MS) {
		let f;
		do
			f = await this.frame(ms);
		while (f.opcode !== OP.CLOSE);
		this.send(OP.CLOSE, f.payload.subarray(0, 2));
		assert.equal(f.payload.length >= 2 ?
		    f.payload.readUInt16BE(0) : 0, code,
		    f.payload.subarray(2).toString());
		if (reason !== undefined)
			assert.equal(f.payload.subarray(2).toString(), reason);
		await this.eof(ms);
	}

	/* The server's FIN comes next, and not a reset. */
	async eof(ms = WAIT_MS) {
		const limit = Date.now() + ms;
		while (!this.ended && !this.error && !this.gone) {
			assert.ok(Date.now() < limit, `no EOF within ${ms} ms`);
			let timer;
			await new Promise((resolve) => {
				this.waiter = resolve;
				timer = setTimeout(resolve, limit - Date.now());
			});
			clearTimeout(timer);
		}
		assert.equal(this.have, 0, 'bytes before EOF: ' +
		    this.peek(100).toString('latin1'));
		assert.equal(this.error, null);
		assert.ok(this.ended, 'FIN');
		this.socket.end();
	}

	/* The close handshake, begun by us. */
	async close(code = 1000) {
		this.send(OP.CLOSE, closePayload(code));
		let f;
		do
			f = await this.frame();
		while (f.opcode !== OP.CLOSE);
		await this.eof();
	}

	/* Leaves without a word. */
	drop() {
		this.socket.destroy();
	}

	/* Drops all clients that are still there. */
	static dropAll() {
		for (const c of everyone)
			c.drop();
		everyone.clear();
	}
}

module.exports = {Client, OP, KEY, WAIT_MS, frame, fragments, closePayload,
    request};
