/*
 * A transport that is a row of a table (tests/doors/xor_transport.c), with a
 * greeting and with records, so that positions of plaintext are not the
 * socket's: its clients, of WebSockets and of lines, talk with those over TCP,
 * and nothing is lost, doubled, reordered or closed, no record sealed twice
 * with other bytes, while all workers are killed at once, one hangs, workers
 * are restarted, connections move and the program is upgraded. LINES names that
 * chatd (make build/lines/chatd).
 */
'use strict';

const path = require('node:path');
process.env.CHATD = process.env.LINES ??
    path.join(__dirname, '../../build/lines/chatd');
const assert = require('node:assert/strict');
const net = require('node:net');
const WebSocket = require('ws');
const {group} = require('../system/suite.js');
const {Daemon, until} = require('../system/daemon.js');
const {Person} = require('./crowd.js');
const {LinePerson, XorLinePerson, XorPerson, freePorts, gather, hang, killAll,
    round} = require('./stations.js');
const {XorSocket, record} = require('./xor.js');

const ROUNDS = 12;    /* kills of all workers */
const PAIR = 2;       /* speakers of each kind */
const SILENT = 5;     /* and clients who only listen */
const LINES = 10;     /* that each speaker hears of its own in a round */
const SLOW_ROUNDS = 4;

/* A daemon with an address for each pair of stations. */
async function start(conf = '', workers = 3) {
	const [port, xorPort, linePort, xorLinePort] = await freePorts(4);
	const d = await Daemon.start({listen: false, port, workers,
	    conf: `listen 127.0.0.1:${port}\n` +
	    `listen 127.0.0.1:${xorPort} xor\n` +
	    `listen 127.0.0.1:${linePort} lines line\n` +
	    `listen 127.0.0.1:${xorLinePort} xor line lines\n` +
	    `insecure yes\n${conf}`});
	return Object.assign(d, {xorPort, linePort, xorLinePort});
}

/* What a raw socket hears until its end, which may be a reset, after it has
 * said something. */
function hear(port, bytes, end) {
	return new Promise((resolve) => {
		const s = net.connect({port, host: '127.0.0.1',
		    allowHalfOpen: true});
		let all = '';
		s.setEncoding('latin1');
		s.on('connect', () => end ? s.end(bytes) : s.write(bytes));
		s.on('data', (text) => all += text);
		s.on('end', () => s.destroy());
		s.on('error', () => {});
		s.on('close', () => resolve(all));
	});
}

/* A request by HTTP over records: its answer, and how that ended. */
function get(port, target) {
	return new Promise((resolve, reject) => {
		const s = new XorSocket(port);
		let all = '';
		s.setEncoding('latin1');
		s.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
		s.on('data', (text) => all += text);
		s.on('end', () => {
			resolve({answer: all, last: s.last, records: s.records});
			s.destroy();
		});
		s.on('error', reject);
	});
}

group('a transport of one row', null, (test) => {
	test(`goes on over ${ROUNDS} deaths of all workers, a hang, restarts, ` +
	    'moves and upgrades', async () => {
		const d = await start('watchdog 500ms\n');
		const {crowd, speakers} = await gather(d,
		    [Person, XorPerson, LinePerson, XorLinePerson], PAIR, SILENT);
		for (let i = 0; i < ROUNDS; i++)
			await round(crowd, speakers, LINES, () => killAll(d));
		await round(crowd, speakers, LINES, () => hang(d, 1));
		for (const order of [['restart-worker', '0'], ['upgrade'],
		    ['rebalance'], ['restart-worker', '2'], ['rebalance'],
		    ['upgrade']])
			await round(crowd, speakers, LINES, async () => {
				const r = await d.ctl(...order);
				assert.deepEqual([r.status, r.stderr], [0, ''],
				    order.join(' '));
			});
		console.log(`     ${crowd.judged} lines, each heard by ` +
		    `${crowd.people.size} clients`);
		await crowd.leave();
		await d.stop();
	}, {limit: 180000});

	test('who reads slowly gets every record, whichever worker died in it',
	    async () => {
		const d = await start('queue 8M\nmessage-size 64K\n', 2);
		const {crowd, speakers} = await gather(d, [XorPerson], 1, 0);
		const slow = new XorPerson(crowd, 'slow');
		crowd.people.add(slow);
		assert.ok(await slow.open(), slow.error);
		const long = 'x'.repeat(60000);
		for (let i = 0; i < SLOW_ROUNDS; i++) {
			slow.socket.raw.pause();
			const from = slow.heard.length;
			for (let k = 0; k < 60; k++)
				speakers[0].say(`${i} ${k} ${long}`);
			await until('said', () => speakers[0].heard.at(-1)
			    ?.startsWith(`${speakers[0].user} says: ${i} 59 `), 20000);
			assert.ok(slow.heard.length < from + 60, 'it is not slow');
			await killAll(d);
			slow.socket.raw.resume();
			await until('heard', () => slow.heard.length >= from + 60,
			    20000);
			assert.deepEqual(slow.heard.slice(from).map((s) =>
			    s.slice(0, -long.length)), Array.from({length: 60},
			    (_, k) => `${speakers[0].user} says: ${i} ${k} `));
		}
		assert.equal(crowd.broken, undefined);
		await crowd.leave();
		await d.stop();
	}, {limit: 120000});

	test('answers by HTTP go through it, and the end is told', async () => {
		const d = await start('', 1);
		const page = await get(d.xorPort, '/');
		assert.match(page.answer, /^HTTP\/1.1 200 [^]*<html/);
		assert.ok(page.records > 5 && page.last);
		const none = await get(d.xorPort, '/none');
		assert.match(none.answer, /^HTTP\/1.1 404 /);
		assert.ok(none.last);
		/* the order to end comes in its framing */
		const own = new XorSocket(d.xorPort);
		const ws = new WebSocket('ws://localhost/ws?user=u',
		    {createConnection: () => own});
		const code = new Promise((resolve) => ws.on('close', resolve));
		await new Promise((resolve) => ws.on('open', resolve));
		assert.equal((await d.ctl('kick', 'u')).status, 0);
		assert.equal(await code, 4001);
		await until('the last record', () => own.last);
		await d.clean();
		await d.stop();
	});

	test('a client that begins otherwise costs nothing for long',
	    async () => {
		const d = await start('handshake-timeout 1s\n', 1);
		assert.equal(await hear(d.xorPort, 'GET / HTTP/1.1\r\n\r\n'), '');
		/* half a greeting, half a record, and an end in each */
		assert.equal(await hear(d.xorPort, 'XO', true), '');
		const half = record(Buffer.from('GET /'), 0).subarray(0, 5);
		assert.equal(await hear(d.xorPort, Buffer.concat(
		    [Buffer.from('XOR?'), half]), true), 'XOR!');
		/* and without an end: the time is over */
		assert.equal(await hear(d.xorPort, 'XO'), '');
		assert.match(await hear(d.xorPort, Buffer.concat(
		    [Buffer.from('XOR?'), half])), /^XOR!/);
		/* a record that is none */
		assert.equal(await hear(d.xorPort, Buffer.concat(
		    [Buffer.from('XOR?'), Buffer.from([0, 0, 0])])), 'XOR!');
		/* it does not spin over what it cannot use yet */
		const s = new XorSocket(d.xorPort);
		await new Promise((resolve) => s.on('connect', resolve));
		s.raw.write(half);
		const worker = (await d.json('show', 'workers'))[0];
		const cpu = () => Number(require('node:fs').readFileSync(
		    `/proc/${worker.pid}/stat`, 'latin1').split(') ')[1]
		    .split(' ')[11]);
		const before = cpu();
		await new Promise((resolve) => s.on('close', resolve).resume());
		const ticks = cpu() - before;
		assert.ok(ticks < 30, `${ticks} ticks of 10 ms in a second`);
		await d.clean();
		await d.stop();
	});
});
