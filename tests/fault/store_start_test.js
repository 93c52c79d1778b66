/*
 * chatd is started while the database cannot be written: what may be lost goes
 * on at once, from where it stands there, what may not is refused for now, and
 * offsets that were told are never given twice.
 */
'use strict';

const path = require('node:path');
const {BUILD} = require('./builds.js');
process.env.CHATD = path.join(BUILD, 'kill/chatd');
const assert = require('node:assert/strict');
const {execFileSync} = require('node:child_process');
const fs = require('node:fs');
const {group} = require('../system/suite.js');
const {Line} = require('../system/centrifugo.js');
const {row} = require('./kill_points.js');
const {Archive, LEAP, becomes, killAll, noise, storing} = require('./archive.js');

const LEAD = 2 ** 40; /* the most that offsets go on where nothing is written */

/* An archive with 20 messages, on a file system of its own. */
async function filled({kill = false} = {}) {
	const archive = new Archive('2M');
	await storing(async (d) => {
		assert.equal((await noise(d, 'told', {n: 20})).done.length, 20);
		await archive.whole(d);
		if (kill)
			await killAll(d);
	}, {archive, keep: true, sound: !kill});
	return archive;
}

/* Nothing can be written there any more; back(): it can. */
const TROUBLE = {
	full(archive) {
		const filler = path.join(archive.dir, 'filler');
		const fd = fs.openSync(filler, 'w');
		try {
			for (;;)
				fs.writeSync(fd, Buffer.alloc(4096));
		} catch (error) {
			assert.equal(error.code, 'ENOSPC');
		}
		fs.closeSync(fd);
		return () => fs.unlinkSync(filler);
	},
	'read-only'(archive) {
		const mount = (how) => execFileSync('mount',
		    ['-o', `remount,${how}`, archive.dir]);
		mount('ro');
		return () => mount('rw');
	}
};

/* Who asks for it has the channel now. */
async function subscribed(d, channel, position) {
	const l = await Line.connected(d, '?user=a');
	const r = await l.ask('subscribe', {channel, ...position});
	assert.ok(r.subscribe, JSON.stringify(r));
	return Object.assign(l, {got: r.subscribe});
}

/* Publishes a text; the channel's offset then. */
async function said(l, channel, data) {
	const r = await l.ask('publish', {channel, data});
	assert.ok(r.publish, JSON.stringify(r));
	return (await l.ask('history', {channel, limit: 0})).history.offset;
}

if (process.getuid() === 0) group('store, at a start', null, (test) => {
	for (const [how, kill] of [['full', false], ['full', true],
	    ['read-only', false], ['read-only', true]])
		test(`the disk is ${how}${kill ? ', after a crash' : ''}`,
		    async () => {
			const archive = await filled({kill});
			const back = TROUBLE[how](archive);
			let epoch;
			await storing(async (d) => {
				await becomes(d, how);
				const l = await subscribed(d, 'told');
				epoch = l.got.epoch;
				const {history} = await l.ask('history',
				    {channel: 'told', limit: 100});
				assert.equal(history.publications.length, 20);
				const made = await noise(d, 'told', {n: 5});
				assert.equal(made.done.length, 5);
				const {offset} = (await l.ask('history',
				    {channel: 'told', limit: 0})).history;
				assert.ok(offset > LEAP && offset <= 25 + LEAD,
				    `offset ${offset}`);
				/* one that nobody knows */
				await said(await subscribed(d, 'told-new'),
				    'told-new', 1);
				back();
				await becomes(d, 'ok');
				await said(l, 'told', 6);
				await archive.whole(d);
				const all = archive.judge('told');
				assert.equal(all.length, 26);
				assert.deepEqual(all.map((m) => m.offset),
				    Array.from({length: 26}, (_, k) => k < 20 ?
				    k + 1 : offset - 4 + k - 20));
				assert.equal(archive.count('told-new'), 1);
				/* who had all that is stored misses nothing */
				const b = await subscribed(d, 'told',
				    {recover: true, offset: 20, epoch});
				assert.equal(b.got.recovered, true);
				assert.equal(b.got.publications.length, 6);
			}, {archive});
		}, {limit: 60000});

	test('the store dies before anything was written', async () => {
		const archive = await filled(), back = TROUBLE.full(archive);
		await storing(async (d) => {
			await becomes(d, 'full');
			const l = await subscribed(d, 'told');
			const first = await said(l, 'told', 1);
			process.kill((await row(d, 'store')).pid, 'SIGKILL');
			back();
			await becomes(d, 'ok');
			assert.equal(await said(l, 'told', 2), first + 1);
			await archive.whole(d);
			assert.deepEqual(archive.judge('told').slice(20)
			    .map((m) => m.offset), [first, first + 1]);
		}, {archive});
	}, {limit: 60000});

	test('all die before anything was written, and again', async () => {
		const archive = await filled(), back = TROUBLE.full(archive);
		const seen = new Set();
		for (const last of [false, true])
			await storing(async (d) => {
				await becomes(d, 'full');
				const l = await subscribed(d, 'told');
				for (let k = 0; k < 5; k++) {
					const offset = await said(l, 'told', k);
					assert.ok(!seen.has(offset));
					seen.add(offset);
				}
				if (!last)
					return killAll(d);
				back();
				await becomes(d, 'ok');
				await archive.whole(d);
				assert.equal(archive.judge('told').length, 25);
			}, {archive, keep: !last, sound: last});
	}, {limit: 60000});

	test('what must not be lost waits for the disk', async () => {
		const archive = await filled(), back = TROUBLE.full(archive);
		await storing(async (d) => {
			await becomes(d, 'full');
			assert.equal((await noise(d, 'plain', {n: 50})).done.length,
			    50);
			await Promise.all(['told', 'acked'].map(async (channel) => {
				const l = await Line.connected(d, '?user=a');
				const r = await l.ask('subscribe', {channel});
				assert.equal(r.error?.code, 100, JSON.stringify(r));
			}));
			back();
			await becomes(d, 'ok');
			const l = await subscribed(d, 'told');
			assert.equal(await said(l, 'told', 1), 21);
			await archive.whole(d);
			assert.equal(archive.judge('told').length, 21);
		}, {archive, conf: 'store-full refuse\n'});
	}, {limit: 60000});
});
