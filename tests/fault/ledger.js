/*
 * ledger: what a test's reader of the journal has written (tests/kinds/ledger.c,
 * book.h), and writers of both doors who publish to channels that it reads, and
 * compare: what was answered is in the book once, what was refused is not, and
 * everybody has heard what is there, in its order.
 *
 *	await reading(async (d, book) => {      // a daemon with that reader
 *		const choir = await Choir.open(d, 6);
 *		choir.begin();                  // until end()
 *		...
 *		await choir.end();
 *		await choir.judge(book);
 *	});
 *
 * Channels whose names begin with "told" are read, with "kept" not missed, with
 * "acked" answered when they are in the book, with "strict" delivered then.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const WebSocket = require('ws');
const {sdkLeave} = require('../system/centrifugo.js');
const {Client} = require('../system/client.js');
const {Daemon, pause, processDescriptors, until} =
    require('../system/daemon.js');
const {follows} = require('./kill_points.js');

const CONF = `channel "*" {
	subscribe all
	publish all
	history 1000
	recovery yes
	presence yes
}
`;
const KINDS = ['told', 'kept', 'acked', 'strict', 'plain'];
const WAIT_MS = 20000;

class Book {
	constructor() {
		this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'ledger-'));
		fs.chmodSync(this.dir, 0o777); /* children have another user */
		this.env = {CHATD_LEDGER_DIR: this.dir};
	}

	/* How it is to behave, until calm() (enum mood). */
	mood(...words) {
		this.calm();
		for (const word of words)
			fs.writeFileSync(path.join(this.dir, word), '');
	}

	calm() {
		for (const name of fs.readdirSync(this.dir))
			if (name !== 'book')
				fs.unlinkSync(path.join(this.dir, name));
	}

	/* Waits until it has looked how it is to behave. */
	async seen() {
		const file = path.join(this.dir, 'look');
		fs.writeFileSync(file, '');
		await until('the ledger looks', () => !fs.existsSync(file));
	}

	/* The lines that count, as arrays of fields. */
	lines() {
		let text = '';
		try {
			text = fs.readFileSync(path.join(this.dir, 'book'), 'utf8');
		} catch (error) {
			if (error.code !== 'ENOENT')
				throw error;
		}
		const end = text.lastIndexOf('\nmark\t');
		if (end < 0 || text.indexOf('\n', end + 1) < 0)
			return [];
		return text.slice(0, text.indexOf('\n', end + 1)).split('\n')
		    .map((line) => line.split('\t').map((field) =>
		    field.replace(/%([0-9a-f]{2})/g, (_, hex) =>
		    String.fromCharCode(parseInt(hex, 16)))));
	}

	/* Those of a kind. */
	of(kind) {
		return this.lines().filter((f) => f[0] === kind);
	}

	messages(channel) {
		return this.of('message').map(([, position, name, offset, before,
		    stream, format, flags, sender, , , , , , user, data]) => ({
			position: Number(position), channel: name,
			offset: Number(offset), before: Number(before),
			stream: BigInt(stream), format: Number(format),
			flags: Number(flags), sender, user, data}))
		    .filter((m) => channel === undefined || m.channel === channel);
	}

	events() {
		return this.of('event').map(([, position, format, channel, mask,
		    sender, user, data]) => ({position: Number(position),
			what: EVENTS[format], channel, mask: BigInt(mask), sender,
			user, data}));
	}

	/* The newest position that it has. */
	mark() {
		return Number(this.of('mark').at(-1)?.[1] ?? 0);
	}

	/* Waits until it has all that has been published. */
	async whole(d) {
		const {position} = await d.json('show', 'stats');
		await until(`the book has all up to ${position}`, () =>
		    this.mark() >= position, WAIT_MS);
	}

	/* In each channel that it must not miss each offset is there once, and
	 * names the one before it. */
	judge(channel) {
		let last = null;
		for (const m of this.messages(channel)) {
			if (last)
				assert.ok(m.offset > last.offset, `${channel}: ` +
				    `${m.offset} behind ${last.offset}`);
			last = m;
		}
		const gaps = this.of('gap').filter((f) => f[1] === channel);
		assert.deepEqual(gaps, [], channel);
	}

	remove() {
		fs.rmSync(this.dir, {recursive: true});
	}
}

/* Of hub/journal.h. */
const EVENTS = {3: 'join', 4: 'leave', 5: 'kick', 9: 'online', 10: 'offline',
	11: 'occupied', 12: 'vacated', 13: 'connect', 14: 'disconnect'};

/* One who publishes to each of the channels in turn, one command at a time, and
 * hears all of them. */
class Writer {
	constructor(choir, n) {
		this.choir = choir;
		this.name = `w${n}`;
		this.heard = new Map(choir.channels.map((c) => [c, []]));
		this.said = 0;
		this.done = [];    /* accepted: {channel, data} */
		this.refused = []; /* with a reason */
		this.unknown = []; /* nobody can tell */
		this.pending = null;
		this.unsure = 0;
		this.closed = null;
	}

	/* Resolves when it is connected. */
	connect(target) {
		this.ws = new WebSocket(`ws://127.0.0.1:${this.choir.d.port}` +
		    `${target}?user=${this.name}`, {perMessageDeflate: false,
			handshakeTimeout: WAIT_MS});
		this.ws.on('message', (data) => this.hear(data.toString()));
		this.ws.on('close', (code, reason) =>
		    this.closed = `${code} ${reason}`);
		this.ws.on('error', (error) => this.closed ??= error.message);
		return new Promise((resolve, reject) => {
			this.ws.once('open', resolve);
			this.ws.once('close', () => reject(new Error(
			    `${this.name} cannot connect: ${this.closed}`)));
		});
	}

	/* The next one. */
	next() {
		const {channels} = this.choir;
		const channel = channels[this.said % channels.length];
		const data = `${this.name}-${this.said++}`;
		this.pending = {channel, data, begin: performance.now()};
		this.publish(channel, data);
	}

	/* What came of it. */
	settle(list, why) {
		const ms = performance.now() - this.pending.begin;
		list.push({...this.pending, ms, why});
		this.pending = null;
		if (this.choir.talking)
			setImmediate(() => this.choir.talking && !this.pending &&
			    !this.closed && this.next());
	}

	/* A publication came. */
	took(channel, data) {
		this.heard.get(channel)?.push(data);
	}
}

/* At the Centrifugo door. */
class JsonWriter extends Writer {
	async open() {
		this.id = 0;
		this.asked = new Map();
		await this.connect('/connection/websocket');
		await this.ask({connect: {}});
		for (const channel of this.choir.channels)
			await this.ask({subscribe: {channel}});
	}

	/* A command's reply, without an error. */
	ask(command) {
		const id = ++this.id;
		this.ws.send(JSON.stringify({id, ...command}));
		return new Promise((resolve, reject) => this.asked.set(id,
		    (reply) => reply.error ? reject(new Error(
		    `${JSON.stringify(command)}: ${JSON.stringify(reply.error)}`)) :
		    resolve(reply)));
	}

	publish(channel, data) {
		this.command = ++this.id;
		this.ws.send(JSON.stringify({id: this.command,
		    publish: {channel, data: {text: data}}}));
	}

	hear(text) {
		const v = JSON.parse(text);
		if (text === '{}') {
			this.ws.send('{}');
		} else if (v.push) {
			if (v.push.pub)
				this.took(v.push.channel, v.push.pub.data.text);
			if (v.push.unsubscribe || v.push.disconnect)
				this.closed = text;
		} else if (this.asked.has(v.id)) {
			this.asked.get(v.id)(v);
			this.asked.delete(v.id);
		} else {
			assert.equal(v.id, this.command,
			    `${this.name}: an answer too many: ${text}`);
			this.command = 0;
			this.settle(!v.error ? this.done : v.error.temporary ?
			    this.refused : this.unknown, v.error);
		}
	}
}

/* At the plain door: what it says is done when it comes back. */
class PlainWriter extends Writer {
	async open() {
		await this.connect('/ws');
		this.joined = 0;
		for (const channel of this.choir.channels) {
			this.ws.send(`/join ${channel}`);
			const n = this.joined;
			await until(`${this.name} has joined ${channel}`, () =>
			    this.joined > n, WAIT_MS);
		}
	}

	publish(channel, data) {
		this.ws.send(`/to ${channel} ${data}`);
	}

	hear(text) {
		const said = text.match(/^\[(\S+)\] (\S+) says: (.*)$/s);
		if (said) {
			this.took(said[1], said[3]);
			if (said[3] === this.pending?.data)
				this.settle(this.done);
		} else if (/^\* joined /.test(text)) {
			this.joined++;
		} else if (text === '* busy, try again') {
			this.settle(this.refused, text);
		} else if (text === '* outcome unknown') {
			this.unsure++; /* it comes back, or has */
		} else if (!/ says: /.test(text)) {
			this.closed = `heard ${text}`;
		}
	}
}

class Choir {
	/* n writers, half of them at each door; suffix: of the channels' names */
	static async open(d, n, {kinds = KINDS, suffix = '', plain = true} = {}) {
		const c = new Choir();
		c.d = d;
		c.channels = kinds.map((kind) => kind + suffix);
		c.talking = false;
		c.writers = Array.from({length: n}, (_, i) => plain && i % 2 === 1 ?
		    new PlainWriter(c, i) : new JsonWriter(c, i));
		for (const w of c.writers)
			await w.open();
		return c;
	}

	begin() {
		this.talking = true;
		for (const w of this.writers)
			w.next();
	}

	/* All that was said is answered. */
	async end() {
		this.talking = false;
		await until('all is answered', () => this.writers.every((w) =>
		    w.closed || !w.pending), WAIT_MS).catch((error) => {
			throw new Error(`${error.message}: ` + this.writers
			    .filter((w) => w.pending).map((w) => `${w.name} waits ` +
			    `for ${w.pending.data} in ${w.pending.channel}`)
			    .join(', '));
		});
		for (const w of this.writers)
			assert.equal(w.closed, null, w.name);
	}

	/* All that came of it, over all writers. */
	all(what) {
		return this.writers.flatMap((w) => w[what]);
	}

	/* The number of what was done. */
	count() {
		return this.writers.reduce((n, w) => n + w.done.length, 0);
	}

	/* After end(): the book has what was done, once; everybody has heard what
	 * the book has, in its order. `holes`: it may have missed some of what it
	 * was told only. */
	async judge(book, {holes = false} = {}) {
		await book.whole(this.d);
		const done = new Map(), maybe = new Set();
		for (const m of this.all('done'))
			done.set(m.data, m.channel);
		for (const m of this.all('unknown'))
			maybe.add(m.data);
		for (const channel of this.channels) {
			const lists = this.writers.map((w) => w.heard.get(channel));
			await until(`all have heard all of ${channel}`, () =>
			    lists.every((l) => l.length === lists[0].length) &&
			    this.all('done').filter((m) => m.channel === channel)
			    .length <= lists[0].length, WAIT_MS);
			const written = book.messages(channel).map((m) => m.data)
			    .map((s) => s.startsWith('{') ? JSON.parse(s).text : s);
			const [first] = lists;
			for (const l of lists)
				assert.deepEqual(l, first, channel);
			assert.equal(new Set(first).size, first.length,
			    `${channel}: heard twice`);
			for (const data of first)
				assert.ok(done.get(data) === channel ||
				    maybe.has(data), `${data} was refused`);
			const heard = new Set(first);
			for (const [data, name] of done)
				assert.ok(name !== channel || heard.has(data),
				    `${data} was not heard in ${channel}`);
			if (/^plain/.test(channel)) {
				assert.deepEqual(written, []);
			} else if (/^told/.test(channel) && holes) {
				const there = new Set(written);
				assert.deepEqual(written, first.filter((s) =>
				    there.has(s)), channel);
			} else {
				book.judge(channel);
				assert.deepEqual(written, first, channel);
			}
		}
	}

	leave() {
		for (const w of this.writers) {
			w.ws.removeAllListeners('close');
			w.ws.terminate();
		}
	}
}

/* A daemon with a reader that has that book, for a test. conf: besides CONF;
 * keep: the book is used again; read: false: it has no reader yet. What fails is
 * told with the ends of log and book; KEEP=1 in the environment leaves the book
 * where it is. */
async function reading(body, {conf = '', env, book = new Book(), keep = false,
	read = true, ...options} = {}) {
	const d = await Daemon.start({workers: 2, conf: CONF + conf,
	    env: {...book.env, ...env}, ...options});
	try {
		if (read)
			await follows(d, 'ledger');
		d.descriptors = processDescriptors(d.pid); /* with its link */
		await body(d, book);
		sdkLeave();
		if (!d.end)
			await d.stop();
	} catch (error) {
		error.message += '\n' + d.stderr.slice(-2500)
		    .replace(/^/gm, '| ') + book.lines().slice(-15)
		    .map((f) => `> ${f.join(' ')}\n`).join('');
		throw error;
	} finally {
		sdkLeave();
		Client.dropAll();
		await d.kill();
		if (!keep && !process.env.KEEP)
			book.remove();
	}
}

/* Any of them. */
function one(of) {
	return of[Math.floor(Math.random() * of.length)];
}

module.exports = {Book, CONF, Choir, JsonWriter, one, pause, reading, until};
