/*
 * Rows of the failure table: a worker that dies of its own fault (builds with
 * kill points crash on marked bytes), a worker that is killed together with one
 * of its keepers, or with both, keepers that are stopped.
 */
'use strict';

const {choose} = require('./builds.js');
choose('kill');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Daemon, pause} = require('../system/daemon.js');
const {Client, frame} = require('../system/client.js');
const {Crowd, successors, talks, until} = require('./crowd.js');

const WORKERS = 3;
const USERS = Array.from({length: 24}, (_, i) => `u${i}`);

/* A daemon with a crowd on all its workers, nobody of which may be lost. */
async function scene() {
	const d = await Daemon.start({workers: WORKERS,
	    conf: 'watchdog 500ms\n'});
	const crowd = new Crowd(d);
	crowd.lost = (p) => assert.fail(`${p.user} is lost`);
	await crowd.joinAll(USERS);
	await crowd.locate();
	return [d, crowd];
}

/* How many workers have died so far. */
async function deaths(d) {
	const w = await d.json('show', 'workers');
	return w.reduce((sum, x) => sum + x.generation, 0) - WORKERS;
}

/* Waits until all workers run. */
function allRun(d) {
	return until('all workers run', async () =>
	    (await d.json('show', 'workers'))
		.every((w) => w.state === 'running'));
}

/* All talk, are present, leave; the daemon is whole. */
async function end(d, crowd) {
	await talks(crowd);
	assert.equal(crowd.people.size, USERS.length);
	await crowd.presence();
	await crowd.leave();
	await d.stop();
}

group('own fault', null, (test) => {
	for (const [how, before] of [['alone', []],
	    ['behind a line', ['hello']],
	    ['behind a command that waits for a line', ['hello', '/who']]])
		test(`input, ${how}: its sender alone is closed`, async () => {
			const [d, crowd] = await scene();
			const c = await Client.open(d.port, '/ws?user=mallory');
			c.write(Buffer.concat([...before, 'crash on input']
			    .map((line) => frame(1, line))));
			let f;
			do
				f = await c.frame();
			while (f.opcode !== 8);
			assert.equal(f.payload.readUInt16BE(0), 1011);
			c.drop();
			await allRun(d);
			assert.equal(await deaths(d), 1);
			await end(d, crowd);
		});

	for (const busy of [false, true])
		test(`a publication, ${busy ? 'all talk' : 'quiet'}: two deaths, the rest arrives`,
		    async () => {
			const [d, crowd] = await scene();
			const c = await Client.open(d.port, '/ws?user=mallory');
			c.text('before');
			await until('it is heard', async () =>
			    await c.heard() === 'mallory says: before');
			let on = busy;
			const talking = [...crowd.people].slice(0, busy ? 6 : 0)
			    .map(async (p) => {
				while (on) {
					p.ws.send('meanwhile');
					await pause(5);
				}
				p.ws.send('enough');
				return `${p.user} says: enough`;
			    });
			if (busy)
				await pause(100);
			c.text('crash on delivery');
			c.text('after');
			await until('all hear the rest', () => [...crowd.people]
			    .every((p) => p.heard.includes('mallory says: after')));
			on = false;
			for (const line of await Promise.all(talking))
				await until(line, () => [...crowd.people]
				    .every((p) => p.heard.includes(line)));
			await allRun(d);
			assert.equal(await deaths(d), 2);
			c.drop();
			await end(d, crowd);
		});
});

group('keepers', null, (test) => {
	test('a worker and one of its keepers at once: nobody notices',
	    async () => {
		const [d, crowd] = await scene();
		for (const k of [0, 1]) {
			const before = await until('two keepers', async () => {
				const w = await d.json('show', 'workers');
				return w[0].keepers.every((pid) => pid > 0) && w;
			});
			/* the master sees both deaths together */
			process.kill(before[0].pid, 'SIGSTOP');
			process.kill(before[0].keepers[k], 'SIGKILL');
			process.kill(before[0].pid, 'SIGKILL');
			await successors(d, [0], before);
		}
		await end(d, crowd);
	});

	test('a worker and both of its keepers: its people alone are disconnected',
	    async () => {
		const [d, crowd] = await scene();
		const mine = [...crowd.people].filter((p) => p.worker === 0);
		const gone = new Set();
		assert.ok(mine.length > 0 && mine.length < USERS.length);
		crowd.lost = (p) => gone.add(p);
		const before = await d.json('show', 'workers');
		/* none of them gets to asking another one */
		for (const pid of [before[0].pid, ...before[0].keepers])
			process.kill(pid, 'SIGSTOP');
		for (const pid of [before[0].pid, ...before[0].keepers])
			process.kill(pid, 'SIGKILL');
		/* the first try may meet those that are not reaped yet */
		await until('the next worker runs', async () => {
			const now = (await d.json('show', 'workers'))[0];
			return now.state === 'running' &&
			    now.generation > before[0].generation;
		});
		await until('they are disconnected', () =>
		    gone.size === mine.length);
		for (const p of gone)
			assert.equal(p.worker, 0);
		crowd.lost = (p) => assert.fail(`${p.user} is lost`);
		await crowd.joinAll(mine.map((p) => p.user));
		await crowd.locate();
		await end(d, crowd);
	});

	test('keepers are stopped when they are needed: all are answered, none lost',
	    async () => {
		const [d, crowd] = await scene();
		const before = await d.json('show', 'workers');
		for (const w of before)
			for (const pid of w.keepers)
				process.kill(pid, 'SIGSTOP');
		const late = [];
		for (let i = 0; i < 12; i++)
			late.push(await Client.open(d.port, `/ws?user=late${i}`));
		for (const w of before)
			process.kill(w.pid, 'SIGKILL');
		await successors(d, before.map((w) => w.slot), before);
		for (const c of late) {
			c.text('/msg nobody here?');
			await until('an answer', async () =>
			    await c.heard() === '* nobody is not connected');
		}
		for (const c of late)
			await c.close();
		await end(d, crowd);
	});
});
