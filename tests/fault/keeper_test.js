/*
 * What makes a worker and its keepers fails once: the next try is within moments,
 * and the worker's death then disconnects nobody.
 */
'use strict';

const {choose, BUILD} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const {execFileSync} = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const {group} = require('../system/suite.js');
const {Daemon} = require('../system/daemon.js');
const {Guests, limit, row, whole} = require('./guests.js');
const {Crowd, successors, talks, until} = require('./crowd.js');

const LIBRARY = path.join(BUILD, 'fault/failnth-keeper.so');
const USERS = ['a', 'b', 'c', 'd', 'e', 'f'];

/* Starts a daemon one call of whose master fails while it begins a worker and
 * its keepers. */
async function startWithout(call) {
	fs.mkdirSync(path.dirname(LIBRARY), {recursive: true});
	execFileSync(process.env.CC ?? 'gcc', ['-std=gnu11', '-D_GNU_SOURCE',
	    '-O2', '-shared', '-fPIC', '-o', LIBRARY,
	    path.join(__dirname, 'failnth.c')]);
	return Daemon.start({workers: 2, env: {LD_PRELOAD: LIBRARY,
	    FAILNTH: `${call}:master:once`}});
}

group('keeper', null, (test) => {
	for (const [what, call, says] of [
	    ['no program', 'sendmsg:1', /worker 0: its notes: .* again in 100 ms/],
	    ['no passport', 'sendmsg:2', /worker 0: its notes: .* again in 100 ms/],
	    ['no memory', 'sendmsg:3', /worker 0: its notes: .* again in 100 ms/],
	    ['no page', 'sendmsg:4', /worker 0: its notes: .* again in 100 ms/],
	    ['no family\'s link', 'socketpair:3', /worker 0: its page: .* again/],
	    ['no own link', 'socketpair:4', /worker 0: its notes: .* again/]])
		test(what, async () => {
			const d = await startWithout(call);
			await d.logged(says);
			const crowd = new Crowd(d);
			crowd.lost = (p) => assert.fail(`${p.user} is lost`);
			await crowd.joinAll(USERS);
			await crowd.locate();
			assert.ok([...crowd.people].some((p) => p.worker === 0));
			await talks(crowd);
			await whole(d);
			const before = await d.json('show', 'workers');
			process.kill(before[0].pid, 'SIGKILL');
			await successors(d, [0], before);
			await talks(crowd);
			assert.equal(crowd.people.size, USERS.length);
			await crowd.presence();
			await crowd.leave();
			await d.stop();
		});

	test('no process can be made: it is said, and tried again', async () => {
		const d = await Daemon.start({workers: 1});
		await whole(d);
		const guests = await Guests.come(d, 4);
		const [one, other] = (await row(d, 0)).keepers;
		const lift = limit(other, 'nproc', 1);
		process.kill(one, 'SIGKILL');
		await until('it is tried again', () => d.stderr.match(
		    /cannot start keeper 0: .* again in \d+ ms/g)?.length > 1);
		assert.deepEqual((await row(d, 0)).keepers, [0, other]);
		await guests.served();
		lift();
		await whole(d);
		await guests.kept();
		guests.leave();
		await d.stop();
	});

	test('killed again and again: the next one lives', async () => {
		const d = await Daemon.start({workers: 1});
		const keeper = async () =>
		    (await d.json('show', 'workers'))[0].keeper;
		const dead = new Set();
		const next = () => until('another keeper', async () => {
			const pid = await keeper();
			return pid !== 0 && !dead.has(pid) && pid;
		});
		for (let i = 0; i < 21; i++) {
			const pid = await next();
			dead.add(pid);
			process.kill(pid, 'SIGKILL');
		}
		const keepers = async () =>
		    (await d.json('show', 'workers'))[0].keepers;
		const last = await until('two keepers', async () => {
			const pids = await keepers();
			return pids.every((pid) => pid !== 0 && !dead.has(pid)) &&
			    pids;
		});
		await d.json('show', 'workers'); /* its time is looked at */
		assert.doesNotMatch(d.stderr, /hung/);
		assert.deepEqual(await keepers(), last);
		await d.stop();
	});
});
