/*
 * A worker is taken over by an attacker: what it can do to the memory that it
 * shares with the others, and say over its links, does not end the service.
 */
'use strict';

const {choose} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const {group} = require('../system/suite.js');
const {processChildren, processTitle, run, until} =
    require('../system/daemon.js');
const {Crowd, pause, patience, successors, talks} = require('./crowd.js');

const PAGE = 4096;
const SCRIBBLE_MS = 4000;
const AGAIN_MS = 2000;    /* from the last scribble until all hear all */
const WORD_MS = 20;       /* between two words that are said meanwhile */

const HUB = 'chatd', PAGES = 'chatd-family'; /* names of memory files */

/*
 * A memory file as a process has it open, null: it has not, which is so for one
 * that has ended, too.
 */
function memory(pid, name = HUB) {
	try {
		for (const fd of fs.readdirSync(`/proc/${pid}/fd`)) {
			const path = `/proc/${pid}/fd/${fd}`;
			if (fs.readlinkSync(path) ===
			    `/memfd:${name} (deleted)`)
				return path;
		}
	} catch (e) {
		if (e.code !== 'ENOENT' || fs.existsSync(`/proc/${pid}/fd`))
			throw e;
	}
	return null;
}

/* Nobody but the master has the memory's file open, or a page of orders. */
async function closed(d) {
	await until('workers and their keepers', () => processChildren(d.pid)
	    .filter((pid) => /worker|keeper/.test(processTitle(pid)))
	    .length === 12);
	for (const name of [HUB, PAGES]) {
		for (const pid of processChildren(d.pid))
			assert.equal(memory(pid, name), null,
			    `${name} in ${processTitle(pid)}`);
		assert.ok(memory(d.pid, name), name);
	}
}

/* A process that gets the memory's file all the same cannot cut it. */
async function cut(d) {
	const crowd = await Crowd.unbroken(d, 8);
	const fd = fs.openSync(memory(d.pid), 'r+');
	const {size} = fs.fstatSync(fd);
	for (const to of [0, 4096, size + 4096])
		assert.throws(() => fs.ftruncateSync(fd, to), /EPERM/);
	fs.closeSync(fd);
	await talks(crowd, 3);
	await crowd.judgeAll();
	await crowd.leave();
}

/* Writes random bytes into live memory for some time: from + [0, len). */
async function scribble(d, from, len) {
	const fd = fs.openSync(memory(d.pid), 'r+');
	const end = Date.now() + SCRIBBLE_MS;
	let n = 0;
	while (Date.now() < end) {
		for (let i = 0; i < 4; i++, n++) {
			const size = [1, 2, 4, 8, 64][n % 5];
			const at = Math.floor(Math.random() * (len - size + 1));
			fs.writeSync(fd, crypto.randomBytes(size), 0, size,
			    from + at);
		}
		await pause(1);
	}
	fs.closeSync(fd);
}

/* Each says words until everybody has heard one of each that was begun after
 * `since`; returns how long that took. */
async function allHear(people, ms) {
	const begin = performance.now();
	for (let word = 0; ; word++) {
		for (const p of people)
			p.say(`${p.device} ${begin} ${word}`);
		await pause(WORD_MS);
		if (people.every((p) => people.every((from) => p.heard.some(
		    (line) => line.startsWith(`${from.own}${begin} `)))))
			return performance.now() - begin;
		assert.ok(performance.now() - begin < ms, 'not all hear all: ' +
		    people.map((p) => `${p.user} at worker ${p.worker} hears ` +
		    people.filter((from) => p.heard.some((line) =>
		    line.startsWith(`${from.own}${begin} `))).length)
		    .join(', '));
	}
}

/* While that part is scribbled on clients talk; afterwards all is well. */
async function survive(d, from, len) {
	const crowd = new Crowd(d);
	const closed = [];
	crowd.lost = (p) => closed.push([p.user, p.closed]);
	const people = await crowd.joinAll(Array.from({length: 8},
	    (_, i) => `u${i}`));
	await crowd.locate();
	const before = await d.json('show', 'workers');
	let scribbling = true;
	const talk = (async () => {
		while (scribbling) {
			for (const p of people)
				p.say('meanwhile');
			await pause(WORD_MS);
		}
	})();
	await scribble(d, from, len);
	scribbling = false;
	await talk;
	const ms = await allHear(people, AGAIN_MS * patience());
	console.log(`     all hear all again after ${Math.round(ms)} ms`);
	assert.deepEqual(closed, []);
	for (const w of await d.json('show', 'workers'))
		assert.equal(w.generation, before[w.slot].generation,
		    `worker ${w.slot} has died`);
	const late = await crowd.join('late');
	await allHear([late, ...people], AGAIN_MS * patience());
	assert.equal((await d.ctl('upgrade')).status, 0);
	await allHear([late, ...people], AGAIN_MS * patience());
	assert.deepEqual(closed, []);
	await crowd.leave();
}

/* A datagram of that type (codec/message.h) with that payload, as text. */
function datagram(type, words = []) {
	const b = Buffer.alloc(8 + words.length * 4);
	b.writeUInt32LE(type, 0);
	b.writeUInt32LE(words.length * 4, 4);
	words.forEach((word, i) => b.writeUInt32LE(word, 8 + i * 4));
	return b.toString('hex');
}

const UNKNOWN = 35, ACCUSE = 38, RELAY = 64;

/* Speaks over links of a worker, as if from it: over `all`, those `to` the
 * process PID or those `but` to that one. */
async function speak(pid, links, count, ...datagrams) {
	const r = await run('/usr/bin/python3', [path.join(__dirname, 'hostile.py'),
	    String(pid), links, String(count), ...datagrams]);
	assert.equal(r.status, 0, r.stderr);
	return Number(r.stdout);
}

/*
 * While clients talk worker 0 says that; those workers are replaced, nobody
 * else is, and no client notices anything.
 */
async function replaced(d, slots, said, pattern) {
	const crowd = await Crowd.unbroken(d, 12);
	const before = await d.json('show', 'workers');
	const logged = d.stderr.length;
	await crowd.locate();
	crowd.cut();
	crowd.talk([...crowd.people].slice(0, 4));
	await said(before);
	await successors(d, slots, before);
	await d.logged(pattern);
	await crowd.judgeAll();
	for (const w of await d.json('show', 'workers'))
		assert.equal(w.generation, before[w.slot].generation +
		    (slots.includes(w.slot) ? 1 : 0), `worker ${w.slot}`);
	assert.ok(d.stderr.slice(logged).split('\n').filter((line) =>
	    /message .*ignored/.test(line)).length <= 65 * before.length,
	    'too many lines in the log');
	await crowd.leave();
}

group('hostile links', {}, (test) => {
	/* of a type that nobody knows */
	test('to the other workers', (d) => replaced(d, [0], (before) =>
	    speak(before[0].pid, `but:${d.pid}`, 120, datagram(UNKNOWN, [0])),
	    /worker 0 sent worker \d bad messages, killed/));
	/* an empty record: what only workers take */
	test('to the master', (d) => replaced(d, [0], (before) =>
	    speak(before[0].pid, `to:${d.pid}`, 120,
		datagram(RELAY, [0, 0, 0, 0])),
	    /worker 0 sent 100 bad messages within 1000 ms, killed/));
	test('that accuse the innocent', (d) => replaced(d, [0, 1, 2, 3],
	    (before) => speak(before[0].pid, 'all', 1, ...[1, 2, 3].map((slot) =>
		datagram(ACCUSE, [slot, before[slot].generation]))),
	    /worker 0 accused others 3 times within 60 s, killed/));
	test('of which 99 are bad', (d) => replaced(d, [], (before) =>
	    speak(before[0].pid, 'all', 90, datagram(UNKNOWN, [0])),
	    /message .* ignored/));
});
group('scribbled on for 4 s', {}, (test) => {
	test('the lock', (d) => survive(d, PAGE, 64), {limit: 60000});
	test('the heads', (d) => survive(d, 0, PAGE), {limit: 60000});
	test('the heads\' words', (d) => survive(d, 64, 256), {limit: 60000});
});
group('four workers', {}, (test) => {
	test('workers and keepers have closed the memory\'s file', closed);
	test('the memory cannot be cut off', cut);
	test('nor after an upgrade', async (d) => {
		assert.equal((await d.ctl('upgrade')).status, 0);
		await closed(d);
		await cut(d);
	});
});
