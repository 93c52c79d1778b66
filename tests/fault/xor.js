/*
 * xor: a socket over the transport of tests/doors/xor_transport.c: a Duplex
 * stream of plaintext. What it sends is cut into records of many sizes, and
 * those into several writes. It fails if a record has not the number and the
 * bytes that it must have, so one that was sealed twice, with other plaintext
 * or left out, is noticed.
 *
 *	const s = new XorSocket(port);       // 'connect' after the greeting
 *	s.records                            // that have come
 *	s.last                               // the server has said that it ends
 *	new WebSocket(url, {createConnection: () => s})
 */
'use strict';

const net = require('node:net');
const {Duplex} = require('node:stream');

const SIZES = [1, 150, 90, 7, 149, 2, 33]; /* of records, in turn */
const HEAD = 3;

/* Changes the bytes of a record, or back. */
function change(bytes, number) {
	const out = Buffer.alloc(bytes.length);
	for (let k = 0; k < bytes.length; k++)
		out[k] = bytes[k] ^ ((number * 31 + k * 7 + 0x5a) & 0xff);
	return out;
}

/* A record. */
function record(bytes, number) {
	return Buffer.concat([Buffer.from([bytes.length >> 8,
	    bytes.length & 0xff, number & 0xff]), change(bytes, number)]);
}

class XorSocket extends Duplex {
	constructor(port, {greet = true} = {}) {
		super({allowHalfOpen: true});
		this.records = 0;
		this.sent = 0;
		this.last = false;
		this.greeted = false;
		this.rest = Buffer.alloc(0);
		this.paused = [];     /* writes before the greeting */
		this.raw = net.connect(port, '127.0.0.1');
		this.raw.setNoDelay();
		this.raw.on('connect', () => greet && this.greet());
		this.raw.on('data', (data) => this.take(data));
		this.raw.on('end', () => this.push(null));
		this.raw.on('error', (error) => this.destroy(error));
		this.raw.on('close', () => this.destroy());
	}

	/* In two pieces. */
	greet() {
		this.raw.write('XO');
		setImmediate(() => this.raw.write('R?'));
	}

	/* Bytes have come. */
	take(data) {
		this.rest = Buffer.concat([this.rest, data]);
		if (!this.greeted) {
			if (this.rest.length < 4)
				return;
			if (this.rest.toString('latin1', 0, 4) !== 'XOR!')
				return this.destroy(new Error('no greeting'));
			this.rest = this.rest.subarray(4);
			this.greeted = true;
			this.emit('connect');
			for (const go of this.paused)
				go();
			this.paused = [];
		}
		while (!this.destroyed && this.one())
			;
	}

	/* Takes one whole record; false: there is none. */
	one() {
		if (this.rest.length < HEAD)
			return false;
		const len = this.rest.readUInt16BE(0), number = this.rest[2];
		if (this.last || number !== (this.records & 0xff)) {
			this.destroy(new Error(`record ${this.records} is ${number}`));
			return false;
		}
		if (this.rest.length < HEAD + len)
			return false;
		if (len === 0)
			this.last = true;
		else if (!this.push(change(this.rest.subarray(HEAD, HEAD + len),
		    this.records)))
			this.raw.pause();
		this.records++;
		this.rest = this.rest.subarray(HEAD + len);
		return true;
	}

	/* Sends plaintext in records, of which each third is cut in two. */
	async seal(chunk) {
		for (let at = 0, n; at < chunk.length; at += n) {
			n = Math.min(SIZES[this.sent % SIZES.length],
			    chunk.length - at);
			const bytes = record(chunk.subarray(at, at + n), this.sent);
			if (this.sent++ % 3 === 0) {
				this.raw.write(bytes.subarray(0, bytes.length >> 1));
				await new Promise((go) => setImmediate(go));
				this.raw.write(bytes.subarray(bytes.length >> 1));
			} else
				this.raw.write(bytes);
		}
	}

	_write(chunk, encoding, done) {
		const go = () => this.seal(chunk).then(() => done(), done);
		if (this.greeted)
			go();
		else
			this.paused.push(go);
	}

	_read() {
		this.raw.resume();
	}

	_final(done) {
		this.raw.end();
		done();
	}

	_destroy(error, done) {
		this.raw.destroy();
		done(error);
	}

	setNoDelay() {
		return this;
	}

	setTimeout() {
		return this;
	}

	setKeepAlive() {
		return this;
	}
}

module.exports = {XorSocket, record};
