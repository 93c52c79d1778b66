/*
 * Planned turns (restart-worker, upgrade, another number of workers, rebalance)
 * cost nobody, whatever becomes of keepers, of the worker that retires and of
 * the next one meanwhile: they wait, or are refused with the reason.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('kill'); /* whose children can be preloaded */
const assert = require('node:assert/strict');
const fs = require('node:fs');
const {group} = require('../system/suite.js');
const {CHATCTL, Daemon, patience, pause, processChildren, processLives,
    processStat, processTitle, run, until} = require('../system/daemon.js');
const {Guests, backOff, hold, late, limit, refusing, replaced, row,
    sideBySide, signal, whole} =
    require('./guests.js');

const GUESTS = 40;
const NOBODY = {uid: 65534, gid: 65534};
const LATE_MS = LONG ? [300, 500, 700, 1000, 1400, 1900] : [1200];
const ETOOMANYREFS = 109;
const CHILDREN = 7; /* of a master with two workers, at rest */
const ROUNDS = LONG ? 30 : 3;

/* Gives an order that may take long. */
function order(d, ...words) {
	return run(CHATCTL, ['-s', d.socket, ...words], {limit: 60000});
}

/* Gives an order that is carried out. */
async function done(d, ...words) {
	const r = await order(d, ...words);
	assert.equal(r.status, 0, `${words.join(' ')}: ${r.stdout}${r.stderr}`);
}

/* A daemon with guests, in a quiet moment. */
async function start(options = {}, n = GUESTS) {
	const d = await Daemon.start(options);
	await whole(d);
	const guests = await Guests.come(d, n);
	await guests.kept();
	return {d, guests};
}

/* Everybody is served, all is as it must be, and all leave. */
async function end(d, guests) {
	await whole(d);
	await guests.served();
	await guests.kept();
	guests.leave();
	await d.stop();
}

/* Sets the limit of descriptors of a process that may end meanwhile. */
function limitLiving(pid, soft) {
	try {
		limit(pid, 'nofile', soft);
	} catch (error) {
		if (processLives(pid))
			throw error;
	}
}

/* The keepers that there are, also those that are to be replaced. */
function keepers(d) {
	return processChildren(d.pid).filter((pid) => {
		try {
			return processTitle(pid).includes('keeper');
		} catch {
			return false;
		}
	});
}

/* A keeper that is stopped does not keep an order from being carried out. */
group('hung keeper', null, (test) => {
	sideBySide(test, {
		'restart-worker': async () => {
			const {d, guests} = await start();
			const w = await row(d, 0);
			process.kill(w.keeper, 'SIGSTOP');
			await done(d, 'restart-worker', '0');
			const next = await row(d, 0);
			assert.equal(next.generation, w.generation + 1,
			    'answered before it was there');
			assert.equal(next.state, 'running');
			await end(d, guests);
		},

		'upgrade': async () => {
			const {d, guests} = await start({workers: 2});
			const w = await row(d, 0);
			process.kill(w.keeper, 'SIGSTOP');
			await done(d, 'upgrade');
			await upgraded(d);
			await end(d, guests);
		},

		'fewer workers, and rebalance': async () => {
			const {d, guests} = await start({workers: false,
			    conf: 'workers 4\n'});
			let w = await row(d, 3);
			process.kill(w.keeper, 'SIGSTOP');
			await done(d, 'rebalance');
			fs.writeFileSync(d.conf, 'workers 2\n');
			await done(d, 'reload');
			await until('two workers', async () =>
			    (await d.ask('show', 'workers')).length === 2, 30000);
			w = await row(d, 1);
			process.kill(w.keeper, 'SIGSTOP');
			await done(d, 'rebalance');
			await end(d, guests);
		},
	}, {limit: 60000});
});

/* Waits until all is replaced. */
async function upgraded(d, ms = 60000) {
	await until('the upgrade is done', async () =>
	    (await d.ask('show', 'upgrade')).state === 'done', ms);
}

/* Waits for that if the order was an upgrade. */
async function upgradedIf(d, what) {
	if (what === 'upgrade')
		await upgraded(d);
}

group('late keeper', null, (test) => {
	sideBySide(test, Object.fromEntries(LATE_MS.flatMap((ms) => [
		[`${ms} ms, its worker is killed`, async () => {
			const {d, guests} = await start();
			const w = await row(d, 0);
			const pausing = late(w.keeper, ms);
			process.kill(w.pid, 'SIGKILL');
			await pausing;
			await replaced(d, 0, w.generation);
			await end(d, guests);
		}],
		[`${ms} ms, restart-worker`, async () => {
			const {d, guests} = await start();
			const w = await row(d, 0);
			const pausing = late(w.keeper, ms);
			await done(d, 'restart-worker', '0');
			await pausing;
			await end(d, guests);
		}]
	])), {limit: 60000});
});

/* Has worker 0 told to retire while it and its master are stopped. Returns {w:
 * its row, answer: what chatctl will say}. */
async function told(d) {
	const w = await row(d, 0);
	process.kill(w.pid, 'SIGSTOP');
	const answer = order(d, 'restart-worker', '0');
	/* The master answers in order: it has told the worker by then. */
	await d.logged(/restarts worker 0/);
	await row(d, 0);
	process.kill(d.pid, 'SIGSTOP');
	return {w, answer};
}

/* told(), and it has retired: it is gone, and nobody knows yet. */
async function retire(d) {
	const {w, answer} = await told(d);
	process.kill(w.pid, 'SIGCONT');
	await until('it has retired', () => processStat(w.pid)?.state === 'Z');
	return {w, answer};
}

group('a worker retires', null, (test) => {
	const options = {workers: 2, conf: 'watchdog 20s\n'};
	for (const [what, most, before, fault] of [
	    ['one of its keepers is killed', 2000, retire,
		(w) => signal(w.keepers[0], 'SIGKILL')],
	    ['both of its keepers are stopped', 2000, retire,
		(w) => w.keepers.map((pid) => signal(pid, 'SIGSTOP'))],
	    ['one of its keepers hangs', 2000, retire,
		(w) => hold(w.keepers[0])],
	    ['it is killed', 2000, told, (w) => signal(w.pid, 'SIGKILL')],
	    ['it hangs', 15000, told, (w) => hold(w.pid)]])
		test(`and in that moment ${what}`, async () => {
			const {d, guests} = await start(options, 100);
			const {w, answer} = await before(d);
			const release = await fault(w);
			process.kill(d.pid, 'SIGCONT');
			const begin = performance.now();
			const r = await answer;
			const ms = Math.round(performance.now() - begin);
			console.log(`     replaced after ${ms} ms`);
			assert.equal(r.status, 0, r.stderr);
			assert.ok(ms < most * patience(), `replaced after ${ms} ms`);
			await guests.served(5000);
			if (typeof release === 'function')
				release();
			await until('it is gone', () => !processLives(w.pid));
			await end(d, guests);
		}, {limit: 60000});

	test('and who follows cannot be told what it is given', async () => {
		const {d, refuse} = await refusing(options);
		await whole(d);
		const guests = await Guests.come(d, 100);
		await guests.kept();
		const {w, answer} = await retire(d);
		const sent = refuse(ETOOMANYREFS);
		process.kill(d.pid, 'SIGCONT');
		assert.equal((await answer).status, 0);
		assert.ok(sent(), 'nothing was sent');
		await until('it is gone', () => !processLives(w.pid));
		await end(d, guests);
	}, {limit: 60000});

	for (const what of ['upgrade', ...LONG ? ['restart-worker'] : []])
		test(`${what}, its keeper is killed about then, ${ROUNDS} times`,
		    async () => {
			const {d, guests} = await start(options, 100);
			for (let i = 0; i < ROUNDS; i++) {
				const w = await row(d, 0);
				const answer = what === 'upgrade' ? order(d, what) :
				    order(d, what, '0');
				if (i % 3 !== 0)
					await until('retired', () =>
					    processChildren(d.pid).length > CHILDREN ||
					    !processLives(w.pid), 15000);
				else
					await pause(Math.random() * 60);
				signal(w.keeper, 'SIGKILL');
				assert.equal((await answer).status, 0);
				await upgradedIf(d, what);
				await whole(d);
				await guests.kept();
				guests.whole();
			}
			await end(d, guests);
		}, {limit: LONG ? 600000 : 60000});
});

/* The keepers before leave when those of the next worker are there. */
group('former keepers', null, (test) => {
	sideBySide(test, Object.fromEntries(['restart-worker', 'upgrade'].map(
	    (what) => [`${what}, one of them hangs for good`, async () => {
			const {d, guests} = await start({workers: 2});
			const w = await row(d, 0);
			const release = await hold(w.keepers[1]);
			await done(d, ...what === 'upgrade' ? [what] : [what, '0']);
			await upgradedIf(d, what);
			await until('they are gone', () => w.keepers.every((pid) =>
			    !keepers(d).includes(pid)));
			release();
			await end(d, guests);
		}])), {limit: 60000});
});

/* All workers are in back-off; an upgrade starts them at once. */
async function backedOff(workers) {
	const {d, guests} = await start({workers});
	await backOff(d, Array.from({length: workers}, (_, i) => i), 4);
	await done(d, 'upgrade');
	await upgraded(d);
	await end(d, guests);
}

group('upgrade', null, (test) => {
	sideBySide(test, {
		'one worker in back-off': async () => {
			await backedOff(1);
		},

		'all workers in back-off': async () => {
			await backedOff(4);
		},

		'a keeper waits for its start': async () => {
			const {d, guests} = await start({workers: 2});
			const dead = new Set();
			await until('it waits', async () => {
				const {keeper} = await row(d, 0);
				if (keeper === 0)
					return true;
				if (!dead.has(keeper) && signal(keeper, 'SIGKILL'))
					dead.add(keeper);
				return false;
			}, 20000);
			await done(d, 'upgrade');
			await upgraded(d);
			await end(d, guests);
		},

		'the master has hardly a descriptor left': async () => {
			const {d, guests} = await start(process.geteuid() === 0 ?
			    {user: NOBODY} : {});
			const most = Math.max(...fs.readdirSync(`/proc/${d.pid}/fd`)
			    .map(Number));
			for (const more of LONG ? [1, 2, 3, 4, 5, 6] : [1, 5]) {
				await whole(d);
				await guests.kept();
				const w = await row(d, 1);
				const lift = limit(d.pid, 'nofile', most + 1 + more);
				process.kill(w.keeper, 'SIGKILL');
				/* Without one it cannot even be asked. */
				const r = await run(CHATCTL, ['-s', d.socket, 'upgrade'],
				    {limit: 15000}).catch(() => null);
				guests.whole();
				if (r && r.status !== 0) {
					assert.equal(r.status, 1);
					assert.match(r.stdout + r.stderr,
					    /keeper|worker|open files|does not answer/);
				}
				/* The others have that limit from it. */
				for (const pid of processChildren(d.pid))
					limitLiving(pid, lift.before);
				lift();
				await until('it is over', async () => ['idle', 'failed',
				    'done'].includes((await d.ask('show', 'upgrade')).state),
				    30000);
				await guests.served();
			}
			await end(d, guests);
		},
	}, {limit: LONG ? 300000 : 90000});
});
