/*
 * A worker dies with connections that it has accepted and not answered: those
 * that have said nothing yet are served by the next one, over the same socket,
 * at whatever kill point of accepting them it died; one in the midst of its
 * request is closed.
 */
'use strict';

const {choose} = require('./builds.js');
choose('kill');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const {group} = require('../system/suite.js');
const {Daemon, pause, soon} = require('../system/daemon.js');
const {successors, until} = require('./crowd.js');
const {List} = require('./kill_points.js');

const SILENT = 20;
const BETWEEN_MS = 400; /* 20 deaths in 10 s are too many */
const FILES = /^(worker\/accept|conn\/(conn|begin|watch|number)|hub\/slot)/;
const REQUEST = 'GET /ws?user=alice HTTP/1.1\r\nHost: localhost\r\n' +
    'Upgrade: websocket\r\nConnection: Upgrade\r\n' +
    'Sec-WebSocket-Version: 13\r\n' +
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

/* A client's socket, and what it has got. */
class Socket {
	constructor(d) {
		this.got = '';
		this.closed = false;
		this.socket = net.connect(d.port, '127.0.0.1');
		this.socket.on('data', (b) => this.got += b.toString('latin1'));
		this.socket.on('error', () => this.closed = true);
		this.socket.on('close', () => this.closed = true);
		this.connected = new Promise((done) =>
		    this.socket.once('connect', done));
	}

	/* Its request is answered, over this very connection. */
	async served() {
		this.socket.write(REQUEST);
		await until('it is answered', () => this.closed ||
		    this.got.includes('\r\n\r\n'));
		assert.match(this.got, /^HTTP\/1\.1 101 /);
		assert.ok(!this.closed, 'it is closed');
	}

	end() {
		this.socket.destroy();
	}
}

/* How many descriptors the workers have. */
async function descriptors(d) {
	return (await d.json('show', 'workers')).reduce((sum, w) =>
	    sum + fs.readdirSync(`/proc/${w.pid}/fd`).length, 0);
}

/* So many of them, accepted. */
async function silent(d, n) {
	const before = await descriptors(d);
	const all = Array.from({length: n}, () => new Socket(d));
	await Promise.all(all.map((s) => s.connected));
	await until('all are accepted', async () =>
	    await descriptors(d) === before + n);
	return all;
}

/* All workers die. */
async function kill(d) {
	const before = await d.json('show', 'workers');
	for (const w of before)
		process.kill(w.pid, 'SIGKILL');
	await successors(d, before.map((w) => w.slot), before);
}

group('accepted', null, (test) => {
	test('who has said nothing is served by the next worker', async () => {
		const d = await Daemon.start({workers: 2});
		const all = await silent(d, SILENT);
		await kill(d);
		await kill(d);
		for (const s of all)
			await s.served();
		for (const s of all)
			s.end();
		await d.stop();
	});

	test('and after a planned restart', async () => {
		const d = await Daemon.start({workers: 2});
		const all = await silent(d, SILENT);
		for (const k of ['0', '1'])
			assert.equal((await d.ctl('restart-worker', k)).status, 0);
		for (const s of all)
			await s.served();
		for (const s of all)
			s.end();
		await d.stop();
	});

	test('who has said half of it is closed', async () => {
		const d = await Daemon.start({workers: 1});
		const [s, other] = await silent(d, 2);
		s.socket.write(REQUEST.slice(0, 40));
		await pause(200); /* nothing tells that it is read */
		await kill(d);
		await until('it is closed', () => s.closed);
		assert.equal(s.got, '');
		await other.served();
		other.end();
		await d.stop();
	});

	test('at each kill point of accepting one', async () => {
		const list = new List();
		const d = await Daemon.start({workers: 1,
		    env: {CHATD_KILL_LIST: list.path}});
		const before = list.passes(FILES);
		(await silent(d, 1))[0].end();
		const points = [...list.passes(FILES)].filter(([point, n]) =>
		    n > (before.get(point) ?? 0n)).map(([point]) => point);
		assert.ok(points.length >= 5, points.join());
		for (const point of points) {
			const fired = list.fired();
			list.arm(Number.parseInt(point, 10));
			const s = new Socket(d);
			await s.connected;
			await soon(() => list.fired() > fired, 1000);
			list.arm(0);
			await s.served().catch((error) =>
			    assert.fail(`${point}: ${error.message}`));
			s.end();
			await pause(BETWEEN_MS);
		}
		assert.ok(list.fired() >= points.length - 2,
		    `${list.fired()} deaths at ${points.length} points`);
		await d.stop();
		list.remove();
	}, {limit: 60000});
});
