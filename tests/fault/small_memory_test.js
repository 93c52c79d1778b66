/*
 * A machine that is smaller than the defaults: chatd in a control group of 64,
 * 48 and 40 MB, without a word of sizes in its configuration, with 500
 * connections, 50 of which never read, and traffic as fast as it goes. Nobody
 * is killed for memory, and those who read are served.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const net = require('node:net');
const {cage, Group} = require('../system/cage.js');
const {group} = require('../system/suite.js');
const {Daemon, soon, until} = require('../system/daemon.js');
const {Client, frame, OP, request} = require('../system/client.js');

const MB = 1024 * 1024;
const TRAFFIC_MS = LONG ? 60000 : 4000;
const READERS = 440, PAIRS = 5, DEAF = 50; /* 500 connections */
const HALF = 10;        /* readers with half a message of 60 KB under way */
const IN_FLIGHT = 1;    /* private messages of a pair: more waits for the deaf */
const LONG_TEXT = 'x'.repeat(30000);
const ENOUGH = 64 * MB / LONG_TEXT.length; /* more than the ring of the
					    * defaults holds */
const LATE_MS = 15000;  /* a busy machine may take so much longer for that */

/* A connection that reads and forgets; `alive` until it is closed. */
function reader(port, user) {
	return new Promise((resolve, reject) => {
		const socket = net.connect({port, host: '127.0.0.1'});
		const r = {socket, alive: true, bytes: 0};
		const gone = () => r.alive = false;
		socket.once('error', reject);
		socket.on('connect', () => socket.write(
		    request(`/ws?user=${user}`)));
		socket.once('data', (head) => {
			socket.off('error', reject);
			socket.on('error', gone);
			socket.on('close', gone);
			socket.on('data', (data) => r.bytes += data.length);
			if (head.toString('latin1').startsWith('HTTP/1.1 101'))
				resolve(r);
			else
				reject(new Error(head.toString('latin1')));
		});
	});
}

/* Opens n, some at a time. */
async function openAll(n, open) {
	const out = [];
	while (out.length < n)
		out.push(...await Promise.all(Array.from(
		    {length: Math.min(20, n - out.length)},
		    (_, i) => open(out.length + i))));
	return out;
}

const deafs = []; /* by number */

/* A connection that reads nothing, in the place of the one before it. */
async function deaf(d, i) {
	deafs[i]?.drop();
	deafs[i] = await Client.user(d.port, `deaf${i}`);
	deafs[i].socket.pause();
}

/* Sends to a user who reads as fast as that one hears, and as much to users
 * who do not read. Returns how much was heard, and how often that user was told
 * of a gap: a machine that is too busy to run all workers may outrun the ring. */
async function pair(d, i, told, over) {
	const [from, to] = [await Client.user(d.port, `from${i}`),
	    await Client.user(d.port, `to${i}`)];
	const whole = frame(OP.TEXT, `/msg to${i} ${LONG_TEXT}`);
	let sent = 0, seen = 0, heard = 0, gaps = 0;
	while (!over() || seen < sent) {
		for (; !over() && sent < seen + IN_FLIGHT; sent++) {
			told.messages += 2;
			from.write(whole);
			from.write(frame(OP.TEXT,
			    `/msg deaf${sent * PAIRS % DEAF + i} ${LONG_TEXT}`));
		}
		from.chunks = []; /* it hears what is said to everybody */
		from.have = 0;
		const text = await to.heard();
		if (text.includes(' whispers: ')) {
			heard++;
			seen = Math.min(seen + 1, sent);
		} else if (text === '* messages were skipped') {
			gaps++;
			seen = sent;
		}
	}
	return {heard, gaps};
}

/* Says short lines to everybody, each when the one before is heard. */
async function talk(d, over) {
	const c = await Client.user(d.port, 'talker');
	let said = 0;
	for (; !over(); said++) {
		c.text(`${said} ` + 'y'.repeat(200));
		for (let text = ''; text !== '* messages were skipped' &&
		    !text.startsWith(`talker says: ${said} `);)
			text = await c.heard();
	}
	return said;
}

/* Opens deaf connections anew as they are closed for being slow. */
async function deafen(d, over) {
	let n = 0;
	while (!over()) {
		const there = new Set((await d.ask('show', 'connections'))
		    .map((c) => c.user));
		for (let i = 0; i < DEAF && !over(); i++)
			if (!there.has(`deaf${i}`)) {
				await deaf(d, i).catch(() => {}); /* full: later */
				n++;
			}
	}
	return n;
}

/* The whole scene in a daemon; what came of it. */
async function scene(d) {
	const readers = await openAll(READERS, (i) => reader(d.port, `r${i}`));
	for (const r of readers.slice(0, HALF))
		r.socket.write(frame(OP.TEXT, 'z'.repeat(60000))
		    .subarray(0, 50000));
	await openAll(DEAF, (i) => deaf(d, i));
	const end = Date.now() + TRAFFIC_MS;
	const told = {messages: 0};
	const over = () => Date.now() >= end &&
	    (told.messages >= ENOUGH || Date.now() >= end + LATE_MS);
	const [said, again, ...pairs] = await Promise.all([talk(d, over),
	    deafen(d, over),
	    ...Array.from({length: PAIRS}, (_, i) => pair(d, i, told, over))]);
	const lost = readers.filter((r) => !r.alive).length;
	for (const r of readers)
		r.socket.destroy();
	const sum = (what) => pairs.reduce((n, p) => n + p[what], 0);
	return {said, again, lost, heard: sum('heard'), gaps: sum('gaps')};
}

/* The scene in a daemon of a group, and what is right after it. */
async function judge(d, g, bytes) {
	const pids = async () => (await d.ask('show', 'workers'))
	    .map((w) => w.pid);
	const before = await pids();
	const r = await scene(d).catch((error) => {
		throw new Error(`${error.message}; ${g.killed} processes were ` +
		    'killed for memory');
	});
	const peak = g.peak + g.socketPeak;
	console.log(`     ${r.heard} private messages, ${r.said} to all, ` +
	    `${r.again} slow ones anew; peak ${(peak / MB).toFixed(1)} MB, ` +
	    `${(g.socketPeak / MB).toFixed(1)} MB of it for sockets`);
	assert.equal(g.killed, 0, 'killed for memory');
	assert.deepEqual(await pids(), before);
	assert.equal(r.lost, 0, 'readers that were closed');
	assert.ok(2 * r.heard >= ENOUGH * 0.9, `${r.heard} messages`);
	await d.logged(/deaf\d+ .*reads too slowly|memory is full: deaf/);
	await d.logged(/memory: the limit is \d+M .*shrunk to fit/);
	assert.ok(peak <= bytes, `peak ${peak}`);
}

/* The test in a group of that size. */
async function fits(megabytes) {
	const g = Group.make({memory: {max: megabytes * MB}});
	try {
		g.countSockets(megabytes * MB);
		/* these clients answer no pings */
		const d = await Daemon.start({conf: 'ping-interval 10m\n',
		    env: cage({groups: [g]})});
		await judge(d, g, megabytes * MB);
		Client.dropAll();
		await d.clean();
		await d.stop();
		assert.equal(g.killed, 0, 'killed for memory');
	} finally {
		await Daemon.killAll();
		await soon(() => g.file('memory', 'cgroup.procs') === '', 3000);
		g.remove();
	}
}

const trial = Group.make({memory: {max: 64 * MB}});
trial?.remove();
if (!trial) {
	console.log(`skip  NOT TESTED, memory limits: ${Group.why}`);
	console.log('0 passed, 0 failed');
	process.exit(0);
}
group('default configuration', null, (test) => {
	for (const megabytes of [64, 48, 40])
		test(`${megabytes} MB`, () => fits(megabytes),
		    {limit: TRAFFIC_MS + 30000});
});
