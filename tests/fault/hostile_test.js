/*
 * A worker is taken over by an attacker: what it can do to the memory that it
 * shares with the others does not end the service.
 */
'use strict';

const {choose} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const {group} = require('../system/suite.js');
const {processChildren, processTitle, until} = require('../system/daemon.js');
const {Crowd, pause, patience, talks} = require('./crowd.js');

const PAGE = 4096;
const SCRIBBLE_MS = 4000;
const AGAIN_MS = 2000;    /* from the last scribble until all hear all */
const WORD_MS = 20;       /* between two words that are said meanwhile */

/* The memory's file as a process has it open, null: it has not. */
function memory(pid) {
	for (const fd of fs.readdirSync(`/proc/${pid}/fd`)) {
		const path = `/proc/${pid}/fd/${fd}`;
		if (fs.readlinkSync(path).startsWith('/memfd:chatd'))
			return path;
	}
	return null;
}

/* Nobody but the master has the file open. */
async function closed(d) {
	const children = await until('workers and keepers', () => {
		const all = processChildren(d.pid);
		return all.length === 8 && all;
	});
	for (const pid of children)
		assert.equal(memory(pid), null, processTitle(pid));
	assert.ok(memory(d.pid));
}

/* Whoever gets hold of it all the same cannot cut it off. */
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
