/*
 * Output memory that is full, or too small for a frame: those who read too
 * slowly pay for it, and no other connection, and no worker. What was accepted
 * and cannot be sent is told as a gap.
 */
'use strict';

const {choose} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const {group} = require('../system/suite.js');
const {until} = require('../system/daemon.js');
const {Client, OP} = require('../system/client.js');

/* All of it may wait for one connection: so memory ends before a queue. */
const SMALL = 'output-memory 4M\nqueue 4M\njournal 32M\n';

/* A client that reads nothing from now on. */
async function deaf(d, user) {
	const c = await Client.user(d.port, user, user);
	c.socket.pause();
	return c;
}

/* The processes of the workers, by slot. */
async function pids(d) {
	return (await d.ask('show', 'workers')).map((w) => w.pid);
}

/* Connections by their device. */
async function places(d) {
	const out = new Map();
	for (const c of await d.ask('show', 'connections'))
		out.set(c.device, c.worker);
	return out;
}

/* Says lines to the lobby, each when all have heard the one before. */
async function lines(speaker, listeners, n, length) {
	const pad = 'x'.repeat(length);
	for (let i = 0; i < n; i++) {
		speaker.text(`${i} ${pad}`);
		for (const c of listeners) {
			const heard = await c.heard();
			assert.equal(heard.split(' ')[2], String(i));
			assert.ok(heard.length >= length);
		}
	}
}

group('one worker', {workers: 1, conf: SMALL}, (test) => {
	test('a frame is made for the reader that pays for it', async (d) => {
		const before = await pids(d);
		/* the first connection is the first that is delivered to */
		await deaf(d, 'slow');
		const talker = await Client.user(d.port, 'talker');
		const witness = await Client.user(d.port, 'witness');
		await lines(talker, [talker, witness], 200, 60000);
		await d.logged(/output memory is full: slow/);
		assert.doesNotMatch(d.stderr, /full: (talker|witness)/);
		assert.deepEqual(await pids(d), before);
	});
	test('what fits into no frame drops nobody', async (d) => {
		fs.writeFileSync(d.conf, SMALL + 'echo yes\n');
		assert.equal((await d.ctl('reload')).status, 0);
		const slow = await deaf(d, 'slow');
		const talker = await Client.user(d.port, 'talker');
		for (let i = 0; i < 20; i++)
			talker.text('/msg slow ' + 'y'.repeat(60000));
		await talker.quiet();
		const echo = await Client.open(d.port, '/echo');
		echo.send(OP.TEXT, 'z'.repeat(3000000));
		await echo.closed(1009);
		await talker.quiet();
		slow.socket.resume();
		for (let i = 0; i < 20; i++)
			assert.match(await slow.heard(), /whispers: y/);
		await slow.quiet();
	});
});

group('the longest message', {workers: 2,
    conf: 'output-memory 48M\nqueue 4M\nmessage-size 3M\n' +
	'journal 64M\n'}, (test) => {
	test('arrives, each of its bytes escaped', async (d) => {
		const slow = await deaf(d, 'slow');
		const reader = await Client.open(d.port,
		    '/connection/websocket');
		reader.text('{"id":1,"connect":{}}\n' +
		    '{"id":2,"subscribe":{"channel":"lobby"}}');
		await reader.heard();
		await reader.heard();
		const talker = await Client.user(d.port, 'talker');
		talker.text('/msg slow ' + 'y'.repeat(3000000));
		talker.text('\x01'.repeat(3000000));
		const push = JSON.parse(await reader.heard()).push;
		assert.equal(push.pub.data.text, '\x01'.repeat(3000000));
		slow.socket.resume();
		assert.match(await slow.heard(), /whispers: y/);
	});
	test('longer ones are refused by a reload', async (d) => {
		const before = fs.readFileSync(d.conf, 'utf8');
		fs.writeFileSync(d.conf, before.replace('3M', '3073K'));
		const r = await d.ctl('reload');
		assert.notEqual(r.status, 0);
		assert.match(r.stdout + r.stderr,
		    /message-size 3146752 needs an output-memory of 49168K/);
		fs.writeFileSync(d.conf, before);
		assert.equal((await d.ctl('reload')).status, 0);
	});
});

/* Opens clients of those users until worker `at` has so many of them; the
 * others leave. */
async function openAt(d, at, n, name, open) {
	const out = [];
	for (let i = 0; out.length < n; i++) {
		const user = `${name}${i}`;
		const c = await open(user);
		const where = await until(`${user} is listed`, async () =>
		    (await places(d)).has(user) && await places(d));
		if (where.get(user) === at)
			out.push(c);
		else
			c.drop();
	}
	return out;
}

group('two workers', {workers: 2, conf: SMALL}, (test) => {
	test('one\'s slow readers cost the other nobody', async (d) => {
		const talkers = await openAt(d, 1, 3, 'reader', (user) =>
		    Client.user(d.port, user, user));
		const before = await pids(d);
		const slow = await openAt(d, 0, 6, 'slow', (user) => deaf(d, user));
		assert.equal(slow.length, 6);
		await lines(talkers[0], talkers, 300, 60000);
		await d.logged(/output memory is full: slow/);
		assert.doesNotMatch(d.stderr, /full: reader/);
		assert.deepEqual(await pids(d), before);
	});
});

group('64 workers', {workers: 64, conf: SMALL}, (test) => {
	test('share the smallest memory', async (d) => {
		const all = [];
		for (let i = 0; i < 128; i++)
			all.push(await Client.user(d.port, `u${i}`));
		await lines(all[0], all, 20, 20000);
		assert.doesNotMatch(d.stderr, /output memory is full/);
		assert.doesNotMatch(d.stderr, /no room/);
	}, {limit: 60000});
});
