/*
 * Connections over TLS on their way from a handshaker to a worker. The worker
 * dies at each kill point between the message that brings one and its 101, some
 * times with a keeper, or at its successor's, too: as long as the kernel's counts
 * say that nothing was read of it since its handshake, it is served, over the
 * same socket. A handshaker dies at each of its kill points: what a worker has by
 * then is served, and who is connected notices nothing. LONG=1 dies at all
 * points, else those that are passed behind the first read are taken in turn.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('kill');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const tls = require('node:tls');
const {group} = require('../system/suite.js');
const {pause, processStat, soon, until} = require('../system/daemon.js');
const {tlsDaemon, tlsStop} = require('../system/tls.js');
const {List, apart, follows, row} = require('./kill_points.js');

const STEP = LONG ? 1 : 5; /* of other points until the answer */
const LINES = Array.from({length: 16}, (_, k) => 64 + k); /* handshakers' */
const CONF = 'tls-handshakers 1\nwatchdog 5s\n';
/* What a worker does until it waits for a request. */
const COMES = /^(worker\/begun|conn\/(conn|begin|number|watch)|net\/|hub\/(slot|claim))/;
const READS = /^net\/tls/; /* it is read from there on */
const HANDSHAKER = /^handshaker\//;
const BEGUN = /^net\/tls\.c/;    /* its state is there, and no claim */
const TAKEN = /^worker\/begun/; /* it lies safe, and nobody knows yet */
const PASS_MS = 2000, SILENT_MS = 300;

/* Bytes of a record beyond its plaintext. */
const OVERHEAD = {'TLSv1.3': 22, 'TLSv1.2': 29};

/* A client that shakes hands by itself, and asks when it is told to. */
class Client {
	constructor(d, n) {
		this.d = d;
		this.user = `u${n}`;
		this.said = 0;
		this.got = '';
		this.end = null;
		const version = n % 3 === 2 ? 'TLSv1.2' : 'TLSv1.3';
		this.request = `GET /ws?user=${this.user} HTTP/1.1\r\n` +
		    'Host: localhost\r\nUpgrade: websocket\r\n' +
		    'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
		    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';
		this.bytes = this.request.length + OVERHEAD[version];
		this.raw = net.connect(d.tlsPort, '127.0.0.1');
		this.raw.on('error', () => {});
		this.socket = tls.connect({socket: this.raw,
		    rejectUnauthorized: false, minVersion: version,
		    maxVersion: version,
		    ciphers: 'TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256'});
		this.socket.on('data', (b) => this.got += b.toString('latin1'));
		this.socket.on('error', (error) => {
			this.error ??= error.code ?? error.message;
		});
		this.socket.on('close', () => this.end ??= this.error ?? 'closed');
		this.secure = new Promise((done) =>
		    this.socket.once('secureConnect', () => {
			this.port = this.raw.localPort;
			done(true);
		    }));
	}

	ask() {
		this.socket.write(this.request);
	}

	is101() {
		return this.got.includes('\r\n\r\n');
	}

	/* Its request is answered, and so is what it says then; the worker has
	 * its socket once. */
	async served() {
		await until('an answer', () => this.end || this.is101(), 10000);
		assert.match(this.got, /^HTTP\/1\.1 101 /, `${this.end}`);
		const text = `line ${++this.said}`, b = Buffer.from(text);
		for (let k = 0; k < b.length; k++)
			b[k] ^= 'mask'.charCodeAt(k % 4);
		this.socket.write(Buffer.concat([Buffer.from([0x81,
		    0x80 | b.length]), Buffer.from('mask'), b]));
		await until('its line', () => this.end ||
		    this.got.includes(`${this.user} says: ${text}`), 10000);
		assert.equal(this.end, null);
		const {pid} = await row(this.d, 'worker');
		assert.equal(this.times(pid), 1, 'descriptors of its socket');
	}

	/* It is served, or closed, and nothing else was sent. */
	async servedOrClosed() {
		await until('its end', () => this.end || this.is101(), 15000);
		if (this.is101())
			await this.served();
		else
			assert.equal(this.got, '');
		return this.is101();
	}

	/* What the kernel knows of the daemon's end: bytes that it holds and its
	 * inode. null: it is gone. */
	kernel() {
		const hex = (n) => n.toString(16).toUpperCase().padStart(4, '0');
		const at = `0100007F:${hex(this.d.tlsPort)} ` +
		    `0100007F:${hex(this.port)} `;
		const line = fs.readFileSync('/proc/net/tcp', 'latin1')
		    .split('\n').find((l) => l.includes(at));
		if (line === undefined)
			return null;
		const word = line.trim().split(/ +/);
		return {held: parseInt(word[4].split(':')[1], 16), inode: word[9]};
	}

	/* How often a process has its socket. */
	times(pid) {
		const socket = `socket:[${this.kernel()?.inode}]`;
		return fs.readdirSync(`/proc/${pid}/fd`).filter((fd) => {
			try {
				return fs.readlinkSync(`/proc/${pid}/fd/${fd}`) ===
				    socket;
			} catch {
				return false;
			}
		}).length;
	}

	/* Whether nothing was read of its request, all of which has come. */
	async isUnread() {
		return await soon(() => this.kernel()?.held === this.bytes,
		    SILENT_MS);
	}

	leave() {
		this.socket.destroy();
	}
}

/* A daemon with a list of points, and a client who must notice nothing. */
class Scene {
	static async begin() {
		const s = new Scene();
		s.list = new List();
		s.d = await tlsDaemon({workers: 1, conf: CONF,
		    env: {CHATD_KILL_LIST: s.list.path}});
		s.n = 0;
		s.deaths = [];
		s.bad = [];
		s.witness = s.come();
		await s.witness.secure;
		s.witness.ask();
		await s.witness.served();
		await s.passes(/./, true); /* what is made once */
		await s.passes(/./, false);
		return s;
	}

	come() {
		return new Client(this.d, this.n++);
	}

	/* What is passed of those files while one comes and waits, or asks at
	 * once and is answered: [point, which pass]. */
	async passes(files, atOnce) {
		await pause(SILENT_MS); /* the one before is gone */
		const before = this.list.passes(files), all = [];
		const c = this.come();
		await c.secure;
		if (atOnce) {
			c.ask();
			await until('an answer', () => c.is101());
		} else
			await pause(SILENT_MS);
		for (const [point, n] of this.list.passes(files))
			for (let k = 1; k <= n - (before.get(point) ?? 0n) &&
			    k <= 3; k++)
				all.push([point, k]);
		if (!atOnce)
			c.ask();
		await c.served();
		c.leave();
		return all;
	}

	/* One case; who is connected is served afterwards. */
	async at(what, body) {
		try {
			await body();
			await this.witness.served();
		} catch (error) {
			this.bad.push(`${what}: ${error.message}`);
		}
		await apart(this.deaths);
	}

	async end() {
		try {
			assert.deepEqual(this.bad, []);
			this.witness.leave();
			await tlsStop(this.d);
		} finally {
			await this.d.kill();
			this.list.remove();
		}
	}
}

/* Stops worker 0 at that pass of a point, while one comes; then it dies, perhaps
 * with a keeper. Returns whether it came to that, nothing was read, and it was
 * served. */
async function workerDies(s, [point, nth], atOnce, keeper) {
	const {d, list} = s, w = (await d.json('show', 'workers'))[0];
	const fired = list.fired();
	list.arm(parseInt(point, 10), nth, 0, 'SIGSTOP');
	const c = s.come();
	await c.secure;
	if (atOnce)
		c.ask();
	const hit = await soon(() => list.fired() > fired || c.is101(),
	    atOnce ? PASS_MS : SILENT_MS) && list.fired() > fired;
	list.arm(0, 0);
	if (!hit) {
		if (!atOnce)
			c.ask();
		await c.served();
		c.leave();
		return {hit};
	}
	await until('it stands', () => processStat(w.pid)?.state === 'T');
	const unread = !atOnce || await c.isUnread();
	if (keeper !== undefined)
		process.kill(w.keepers[keeper], 'SIGKILL');
	process.kill(w.pid, 'SIGKILL');
	await follows(d, 'worker', w.pid);
	if (!atOnce)
		c.ask();
	const served = unread ? (await c.served(), true) :
	    await c.servedOrClosed();
	c.leave();
	return {hit, unread, served};
}

/* The worker dies at each of what it passes. */
async function workerDiesAtAll(atOnce) {
	const s = await Scene.begin();
	const n = {unread: 0, closed: 0, served: 0}, missed = [];
	/* all that there is until the first byte is read */
	const own = (at) => (atOnce ? READS : COMES).test(at[0].split(' ')[1]);
	const all = (await s.passes(atOnce ? /^(?!handshaker)/ : COMES, atOnce))
	    .filter((at, k) => k % STEP === 0 || own(at));
	for (const at of all)
		await s.at(at.join(), async () => {
			const keeper = [undefined, 0, 1][s.deaths.length % 3];
			const r = await workerDies(s, at, atOnce, keeper);
			if (!r.hit && own(at))
				missed.push(at.join());
			if (r.hit)
				n[r.unread ? 'unread' : r.served ? 'served' :
				    'closed']++;
		});
	console.log(`     ${all.length} passes: ${n.unread} died with ` +
	    `nothing read, ${n.served} later and were served, ${n.closed} ` +
	    `were closed`);
	assert.deepEqual(missed, []);
	assert.ok(atOnce ? n.closed > 0 : n.unread >= 7, 'points are not found');
	await s.end();
}

/* The worker dies at a point with one that comes, and so does its successor, at
 * each of what that passes until it waits for a request. */
async function successorDies(where) {
	const s = await Scene.begin(), {d, list} = s;
	const [first] = (await s.passes(where, false))[0];
	await pause(SILENT_MS);
	const w = (await d.json('show', 'workers'))[0];
	list.arm(parseInt(first, 10), 1, 0, 'SIGSTOP');
	const c = s.come();
	await c.secure;
	await until('it stands', () => processStat(w.pid)?.state === 'T');
	const before = list.passes(COMES);
	process.kill(w.pid, 'SIGKILL');
	await follows(d, 'worker', w.pid);
	await pause(SILENT_MS);
	const all = [...list.passes(COMES)].filter(([point, n]) =>
	    n > (before.get(point) ?? 0n)).map(([point]) => point);
	c.ask();
	await c.served();
	c.leave();
	const missed = [];
	for (const point of all)
		await s.at(point, async () => {
			const n = list.fired(), {pid} = await row(d, 'worker');
			list.arm(parseInt(first, 10), 1);
			list.then(parseInt(point, 10), 1);
			const one = s.come();
			await one.secure;
			await soon(() => list.fired() === n + 2, PASS_MS);
			if (list.fired() !== n + 2)
				missed.push(point);
			list.arm(0, 0);
			list.then(0, 0);
			await follows(d, 'worker', pid);
			one.ask();
			await one.served();
			one.leave();
			await apart(s.deaths);
		});
	console.log(`     ${all.length} points behind ${first}`);
	assert.deepEqual(missed, []);
	assert.ok(all.length >= 4, 'points are not found');
	await s.end();
}

/* A worker and both keepers die when it has one and nobody knows: of all that
 * were connected this one alone goes on. */
async function familyDies() {
	const s = await Scene.begin(), {d, list} = s;
	const first = [...list.passes(TAKEN).keys()][0];
	const w = (await d.json('show', 'workers'))[0], n = list.fired();
	list.arm(parseInt(first, 10), 1, 0, 'SIGSTOP');
	const c = s.come();
	await c.secure;
	await until('it stands', () => list.fired() > n &&
	    processStat(w.pid)?.state === 'T');
	for (const pid of [...w.keepers, w.pid])
		process.kill(pid, 'SIGKILL');
	await follows(d, 'worker', w.pid);
	c.ask();
	await c.served();
	await until('the other one is closed', () => s.witness.end);
	s.witness = c;
	await s.end();
}

/* A handshaker is stopped at each of what it passes while one comes, and then it
 * dies. */
async function handshakerDies() {
	const s = await Scene.begin(), {d, list} = s;
	const all = await s.passes(HANDSHAKER, true);
	const n = {kept: 0, lost: 0}, missed = [];
	const arm = (point, nth) => LINES.forEach((line) =>
	    list.arm(point, nth, line, 'SIGSTOP'));
	const fired = () => LINES.reduce((sum, line) =>
	    sum + list.fired(line), 0);
	for (const at of all)
		await s.at(at.join(), async () => {
			const {pid} = await row(d, 'handshaker');
			const worker = await row(d, 'worker');
			const f = fired(), gone = () => c.end !== null;
			arm(parseInt(at[0], 10), at[1]);
			const c = s.come();
			await soon(() => fired() > f || gone(), PASS_MS);
			arm(0, 0);
			if (fired() === f) {
				/* another one's passes come by time */
				if (at[1] === 1)
					missed.push(at.join());
				return;
			}
			await until('it stands', () =>
			    processStat(pid)?.state === 'T');
			const taken = await soon(() => c.port !== undefined &&
			    c.times(worker.pid) > 0, SILENT_MS);
			process.kill(pid, 'SIGKILL');
			if (taken) {
				c.ask();
				await c.served();
			} else
				await until('it is closed', gone);
			n[taken ? 'kept' : 'lost']++;
			c.leave();
			await follows(d, 'handshaker', pid);
			await s.passes(HANDSHAKER, true);
		});
	console.log(`     ${all.length} passes: ${n.kept} were with a worker, ` +
	    `${n.lost} were lost`);
	assert.deepEqual(missed, []);
	assert.ok(n.kept >= 3 && n.lost >= 8, 'points are not found');
	await s.end();
}

const TESTS = {
	'the worker dies at each point until it waits for a request':
	    () => workerDiesAtAll(false),
	'the worker dies at points until its answer':
	    () => workerDiesAtAll(true),
	'so does its successor, when it was begun with':
	    () => successorDies(BEGUN),
	'so does its successor, when it was taken': () => successorDies(TAKEN),
	'or it dies with both keepers': familyDies,
	'a handshaker dies at each point': handshakerDies,
};

/* They wait more than they work: all run at the same time. */
/* They wait more than they work: all run at the same time. */
group('connections that are handed over', null, (test) => {
	let ends;

	for (const title of Object.keys(TESTS))
		test(title, () => {
			ends ??= Object.fromEntries(Object.entries(TESTS)
			    .map(([name, body]) => [name, body()]));
			/* one that fails ends the others' daemons */
			return Promise.allSettled(Object.values(ends))
			    .then(() => ends[title]);
		}, {limit: LONG ? 600000 : 120000});
});
