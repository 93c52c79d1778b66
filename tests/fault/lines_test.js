/*
 * A door that is two rows of tables (tests/doors/line_door.c), in a framing of
 * its own without HTTP: its clients talk with those of the plain and of the
 * centrifugo door, and nothing is lost, doubled, reordered or closed while all
 * workers are killed at once, one hangs, and the program is upgraded. LINES
 * names that chatd (make build/lines/chatd).
 */
'use strict';

const path = require('node:path');
process.env.CHATD = process.env.LINES ??
    path.join(__dirname, '../../build/lines/chatd');
const assert = require('node:assert/strict');
const net = require('node:net');
const WebSocket = require('ws');
const {group} = require('../system/suite.js');
const {Daemon, freePort, until} = require('../system/daemon.js');
const {Crowd, Person} = require('./crowd.js');
const {CentrifugoPerson, LinePerson, freePorts, gather, hang, killAll, round} =
    require('./stations.js');

const ROUNDS = 12;    /* kills of all workers */
const PAIR = 3;       /* speakers at each door */
const SILENT = 6;     /* and clients who only listen, at each */
const LINES = 10;     /* that each speaker hears of its own in a round */

group('a door of two rows', null, (test) => {
	test(`talks with other doors, over ${ROUNDS} deaths of all workers, ` +
	    'a hang and an upgrade', async () => {
		const [port, linePort] = await freePorts(2);
		const d = await Daemon.start({listen: false, port, workers: 3,
		    conf: `listen 127.0.0.1:${port}\n` +
		    `listen 127.0.0.1:${linePort} lines line\n` +
		    'insecure yes\nwatchdog 500ms\n'});
		d.linePort = linePort;
		const {crowd, speakers} = await gather(d,
		    [Person, LinePerson, CentrifugoPerson], PAIR, SILENT);
		for (let i = 0; i < ROUNDS; i++)
			await round(crowd, speakers, LINES, () => killAll(d));
		await round(crowd, speakers, LINES, () => hang(d, 1));
		await round(crowd, speakers, LINES, async () => {
			const r = await d.ctl('upgrade');
			assert.deepEqual([r.status, r.stderr], [0, '']);
		});
		console.log(`     ${crowd.judged} lines, each heard by ` +
		    `${crowd.people.size} clients at three doors`);
		await crowd.leave();
		await d.stop();
	}, {limit: 180000});

	test('a framing without pings has no pong to wait for', async () => {
		const [port, linePort] = await freePorts(2);
		const d = await Daemon.start({listen: false, port, workers: 1,
		    conf: `listen 127.0.0.1:${port}\n` +
		    `listen 127.0.0.1:${linePort} lines line\ninsecure yes\n` +
		    'ping-interval 100ms\npong-timeout 100ms\n'});
		const deaf = () => new Promise((resolve) => {
			const ws = new WebSocket(`ws://127.0.0.1:${port}/ws?user=deaf`,
			    {autoPong: false});
			ws.on('error', () => {});
			ws.on('close', resolve);
		});
		d.linePort = linePort;
		const crowd = new Crowd(d), silent = new LinePerson(crowd, 'silent');
		crowd.people.add(silent);
		assert.ok(await silent.open(), silent.error);
		/* two that give no pong are found one after the other: by then
		 * the silent one has been looked at for longer */
		for (let i = 0; i < 2; i++)
			assert.equal(await deaf(), 4002);
		assert.equal(silent.closed, null);
		silent.socket.destroy();
		await d.stop();
	});

	test('an end is told in its framing, and half a name is none', async () => {
		const port = await freePort();
		const d = await Daemon.start({listen: false, port: await freePort(),
		    workers: 1, ready: false, conf: 'insecure yes\n' +
		    `message-size 1K\nlisten 127.0.0.1:${port} lines\n`});
		await until('ready', () => d.stderr.includes('ready'));
		const hear = (bytes) => new Promise((resolve, reject) => {
			const s = net.connect(port, '127.0.0.1');
			let all = '';
			s.on('connect', () => s.write(bytes));
			s.on('data', (text) => all += text);
			s.on('end', () => resolve(all));
			s.on('error', reject);
		});
		assert.equal(await hear('a\u0000b\n'),
		    '* your name?\n* closed 1008 protocol error\n');
		assert.equal(await hear('alice\n' + 'x'.repeat(1025)),
		    '* your name?\n* closed 1009 message too big\n');
		assert.equal(await hear(Buffer.from([0xff])),
		    '* your name?\n* closed 1007 invalid UTF-8\n');
		await d.stop();
	});
});
