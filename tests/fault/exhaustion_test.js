/*
 * What runs out: slots, names, output. Those who are refused are
 * told so, those who are served notice nothing, and it ends when there is room
 * again.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const {group} = require('../system/suite.js');
const {processChildren} = require('../system/daemon.js');
const {Client} = require('../system/client.js');
const {Crowd, attempt, talks, until} = require('./crowd.js');

const MIB = 1024 * 1024;
const BATCH = 8;

/* Proportional memory of the daemon, all processes, in bytes. */
function memory(d) {
	return [d.pid, ...processChildren(d.pid)].reduce((sum, pid) => {
		const text = fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
		return sum + Number(/^Pss: +(\d+) kB/m.exec(text)[1]) * 1024;
	}, 0);
}

group('connections 16', {conf: 'connections 16\n'}, (test) => {
	test('40 clients', async (d) => {
		const crowd = new Crowd(d);
		await crowd.joinAll(Array.from({length: 16}, (_, i) => `u${i}`));
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, 4));
		const refused = await Promise.all(Array.from({length: 24},
		    (_, i) => attempt(d, `v${i}`)));
		await crowd.hush();
		await crowd.barrier();
		crowd.judge();
		assert.deepEqual(refused.map((r) => r.status),
		    Array(24).fill(503));
		await crowd.presence();
		/* Five leave, five others come. */
		for (const p of [...crowd.people].slice(0, 5))
			p.ws.close();
		await until('five left', () => crowd.people.size === 11);
		await until('their slots are free', async () =>
		    (await d.json('show', 'connections')).length === 11);
		await crowd.joinAll(Array.from({length: 5}, (_, i) => `w${i}`));
		assert.equal((await attempt(d, 'v')).status, 503);
		await talks(crowd);
		await crowd.presence();
		await crowd.leave();
	});
	test('400 clients at once', async (d) => {
		const all = await Promise.all(Array.from({length: 400},
		    (_, i) => attempt(d, `v${i}`)));
		const of = (status) => all.filter((r) =>
		    r.status === status).length;
		/* As many as there are workers may be one too many. */
		assert.ok(of(101) >= 16 && of(101) <= 16 + 4, `${of(101)} served`);
		assert.equal(of(101) + of(503), 400, `${of(0)} got no answer: ` +
		    all.find((r) => r.status === 0)?.error?.message);
	});
});

group('users 16', {conf: 'users 16\n'}, (test) => {
	test('more names than that', async (d) => {
		const crowd = new Crowd(d);
		await crowd.joinAll(Array.from({length: 16}, (_, i) => `u${i}`));
		for (let i = 0; i < 4; i++)
			assert.equal((await attempt(d, `v${i}`)).status, 503);
		/* Another device of a known user is welcome. */
		await crowd.joinAll(['u3', 'u3', 'u7', 'u7']);
		await talks(crowd);
		await crowd.presence();
		const one = [...crowd.people].find((p) => p.user === 'u0');
		one.ws.close();
		await until('u0 left', async () => !crowd.people.has(one) &&
		    (await d.json('show', 'users')).length === 15);
		await crowd.join('v9');
		assert.equal((await attempt(d, 'v1')).status, 503);
		await talks(crowd);
		await crowd.presence();
		await crowd.leave();
	});
});

/* Opens n connections that read nothing. */
async function deaf(d, n) {
	return Promise.all(Array.from({length: n}, async (_, i) => {
		const c = await Client.user(d.port, `deaf${i}`);
		c.socket.pause();
		return c;
	}));
}

/* Says long lines, `BATCH` at a time as fast as everybody else hears them,
 * until done() or so many are said; judges what was heard. */
async function flood(crowd, done, lines, length) {
	crowd.cut();
	const people = [...crowd.people];
	const speaker = people[0];
	const pad = speaker.pad = ' ' + 'x'.repeat(length);
	crowd.speakers = [speaker];
	while (!done() && speaker.told < lines) {
		for (let i = 0; i < BATCH; i++)
			speaker.say(`${speaker.device} ${++speaker.told}${pad}`);
		await until('all hear it', () => people.every((p) =>
		    p.closed || p.heard.length === speaker.told));
		const lost = people.find((p) => p.closed);
		assert.ok(!lost, lost && `${lost.user} was thrown out: ` +
		    JSON.stringify(lost.closed));
	}
	await crowd.barrier();
	crowd.judge();
	speaker.pad = '';
}

group('slow reader', {conf: 'queue 64K\n'}, (test) => {
	test('is closed, and told why', async (d) => {
		const crowd = new Crowd(d);
		await crowd.joinAll(Array.from({length: 8}, (_, i) => `u${i}`));
		const [slow] = await deaf(d, 1);
		const told = () => /deaf0 .*reads too slowly/.test(d.stderr);
		await flood(crowd, told, 5000, 4000);
		assert.ok(told(), 'not closed');
		slow.socket.resume();
		await slow.closed(1008, 'slow');
		await crowd.leave();
	});
});

group('fifty slow readers', {conf: 'journal 8M\nqueue 256K\n'}, (test) => {
	test('memory is bounded', async (d) => {
		const crowd = new Crowd(d);
		await crowd.joinAll(Array.from({length: 8}, (_, i) => `u${i}`));
		await flood(crowd, () => false, 600, 16000); /* the journal is touched */
		const before = memory(d);
		await deaf(d, 50);
		let most = 0;
		const timer = setInterval(() =>
		    most = Math.max(most, memory(d)), 200);
		await flood(crowd, () => (d.stderr.match(/too slowly/g) ?? [])
		    .length === 50, 4000, 16000);
		clearInterval(timer);
		const grown = Math.max(most, memory(d)) - before;
		console.log(`     grown by ${Math.round(grown / MIB)} MiB`);
		assert.ok(grown < 50 * 256 * 1024 * 1.5 + 8 * MIB,
		    `grown by ${grown} bytes`);
		assert.equal((d.stderr.match(/too slowly/g) ?? []).length, 50);
		await crowd.leave();
	});
});

/* Slow readers use up all output memory; nobody else may pay for it. */
async function short(d) {
	const crowd = new Crowd(d);
	await crowd.joinAll(Array.from({length: 8}, (_, i) => `u${i}`));
	await deaf(d, 50);
	await flood(crowd, () => false, 1000, 16000);
	assert.ok(/output memory is full/.test(d.stderr), 'it never was full');
	await crowd.leave();
}

/* All of it may wait for one connection: so memory ends before a queue. */
const MEMORY = 'output-memory 4M\nqueue 4M\n';

group('output-memory 4M', {workers: 1, conf: MEMORY}, (test) => {
	test('fifty slow readers', short);
});
if (LONG)
	group('output-memory 4M, four workers', {conf: MEMORY}, (test) => {
		test('fifty slow readers', short);
	});
