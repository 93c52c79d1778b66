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
const {CHATCTL, Daemon, pause, processChildren, processDescriptors,
    processLives, processStat, processTitle, run, until} =
    require('../system/daemon.js');
const {Guests, backOff, hold, late, limit, refusing, replaced, row,
    sideBySide, signal, whole} =
    require('./guests.js');

const GUESTS = 40;
const NOBODY = {uid: 65534, gid: 65534};
const LATE_MS = LONG ? [300, 500, 700, 1000, 1400, 1900] : [1200];
const ETOOMANYREFS = 109;
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

/* A daemon with guests who are all in custody. */
async function start(options = {}, n = GUESTS) {
	const d = await Daemon.start(options);
	await whole(d);
	const guests = await Guests.come(d, n);
	await guests.kept();
	return {d, guests};
}

/* Everybody is served, in custody, and all leave. */
async function end(d, guests) {
	await whole(d);
	await guests.served();
	await guests.kept();
	guests.leave();
	await d.stop();
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

/* A keeper that is stopped for good is killed by the watchdog, and the order is
 * carried out then. */
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

/* Has worker 0 retire while its master is stopped: it holds its sockets, and
 * nobody knows yet. Returns {w: its row, answer: what chatctl will say}. */
async function retire(d) {
	const w = await row(d, 0), files = processDescriptors(w.pid);
	process.kill(w.pid, 'SIGSTOP');
	const answer = order(d, 'restart-worker', '0');
	/* The master answers in order: it has told the worker by then. */
	await d.logged(/restarts worker 0/);
	await row(d, 0);
	process.kill(d.pid, 'SIGSTOP');
	process.kill(w.pid, 'SIGCONT');
	/* Its listeners, its links to the others and to the keeper are closed. */
	await until('it has retired', () =>
	    processDescriptors(w.pid) <= files - 2 &&
	    processStat(w.pid)?.state === 'S');
	return {w, answer};
}

group('a worker retires', null, (test) => {
	const options = {workers: 2, conf: 'watchdog 20s\n'};
	for (const [what, fault] of [
	    ['its keeper is killed', (w) => signal(w.keeper, 'SIGKILL')],
	    ['it is killed', (w) => signal(w.pid, 'SIGKILL')],
	    ['it is stopped', (w) => signal(w.pid, 'SIGSTOP')],
	    ['it hangs', (w) => hold(w.pid)]])
		test(`and in that moment ${what}`, async () => {
			const {d, guests} = await start(options, 100);
			const {w, answer} = await retire(d);
			const release = await fault(w);
			process.kill(d.pid, 'SIGCONT');
			const begin = performance.now();
			const r = await answer;
			const ms = Math.round(performance.now() - begin);
			console.log(`     replaced after ${ms} ms`);
			assert.equal(r.status, 0, r.stderr);
			assert.ok(ms < 8000, `replaced after ${ms} ms`);
			await guests.served(5000);
			if (typeof release === 'function')
				release();
			await until('it is gone', () => !processLives(w.pid));
			await end(d, guests);
		}, {limit: 60000});

	test('and cannot be told who goes on', async () => {
		const {d, refuse} = await refusing(options);
		await whole(d);
		const guests = await Guests.come(d, 100);
		await guests.kept();
		const {w, answer} = await retire(d);
		const sent = refuse(ETOOMANYREFS);
		process.kill(d.pid, 'SIGCONT');
		assert.equal((await answer).status, 0);
		assert.ok(sent(), 'nothing was sent');
		assert.doesNotMatch(d.stderr, /does not give/);
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
					    processChildren(d.pid).length > 4 ||
					    !processLives(w.pid), 15000);
				else
					await pause(Math.random() * 60);
				signal(w.keeper, 'SIGKILL');
				assert.equal((await answer).status, 0);
				if (what === 'upgrade')
					await upgraded(d);
				await whole(d);
				await guests.kept();
				guests.whole();
			}
			await end(d, guests);
		}, {limit: LONG ? 600000 : 60000});
});

/* Has an upgrade get to where keeper 0 is replaced, and its worker, which is to
 * fill the new one, is stopped. Returns what there is then. */
async function renewing() {
	const {d, guests} = await start({workers: 2, conf: 'watchdog 3s\n'});
	const [w0, w1] = await d.ask('show', 'workers');
	/* The keepers' turn comes when both workers are replaced. */
	process.kill(w1.pid, 'SIGSTOP');
	const answer = order(d, 'upgrade');
	const {pid: worker} = await replaced(d, 0, w0.generation);
	await guests.kept();
	process.kill(worker, 'SIGSTOP');
	process.kill(w1.pid, 'SIGCONT');
	const keeper = await until('another keeper 0', async () => {
		const pid = (await row(d, 0)).keeper;
		return pid !== w0.keeper && pid;
	}, 15000);
	assert.ok(processLives(w0.keeper));
	return {d, guests, answer, worker, keeper, before: w0.keeper};
}

/* A new keeper is filled while the former one has everything. */
group('renewed keeper', null, (test) => {
	sideBySide(test, {
		'it dies together with its worker': async () => {
			const {d, guests, answer, worker, keeper} = await renewing();
			process.kill(d.pid, 'SIGSTOP');
			process.kill(worker, 'SIGKILL');
			process.kill(keeper, 'SIGKILL');
			await until('both are dead', () =>
			    processStat(worker)?.state === 'Z' &&
			    processStat(keeper)?.state === 'Z');
			process.kill(d.pid, 'SIGCONT');
			assert.equal((await answer).status, 0);
			await upgraded(d);
			await end(d, guests);
		},

		'it hangs': async () => {
			const {d, guests, answer, worker, keeper} = await renewing();
			process.kill(keeper, 'SIGSTOP');
			process.kill(worker, 'SIGCONT');
			await until('it is killed', () => !processLives(keeper), 15000);
			assert.equal((await answer).status, 0);
			await upgraded(d);
			await end(d, guests);
		},

		'the former one hangs, and its worker is killed': async () => {
			const {d, guests, answer, worker, before} = await renewing();
			/* Late by less than the watchdog allows. */
			const pausing = late(before, 2000);
			process.kill(worker, 'SIGKILL');
			await pausing;
			assert.equal((await answer).status, 0);
			await upgraded(d);
			await end(d, guests);
		},

		'the former one hangs for good': async () => {
			const {d, guests, answer, worker, before} = await renewing();
			process.kill(before, 'SIGSTOP');
			process.kill(worker, 'SIGCONT');
			assert.equal((await answer).status, 0);
			await upgraded(d);
			await until('it is gone', () => !processLives(before));
			await end(d, guests);
		},
	}, {limit: 60000});
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
				if (r) {
					assert.equal(r.status, 1, `${more} more: upgraded`);
					assert.match(r.stdout + r.stderr,
					    /keeper|worker|open files|does not answer/);
				}
				/* The others have that limit from it. */
				for (const pid of processChildren(d.pid))
					limit(pid, 'nofile', lift.before);
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
