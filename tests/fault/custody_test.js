/*
 * A keeper has every connection of its worker, or that is known: whatever
 * becomes of the notes that carry them, what is missing is counted, told and
 * handed over again, and a worker that is killed costs nobody.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('kill'); /* whose children can be preloaded */
const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const {group} = require('../system/suite.js');
const {request} = require('../system/client.js');
const {CHATCTL, Daemon, processDescriptors, run, until} = require('../system/daemon.js');
const {Guests, backOff, late, limit, noteLibrary, refusing, replaced, row,
    sideBySide, sockets, whole} =
    require('./guests.js');

const BURST = 2000;   /* handshakes that are reset at once */
const ERRNO = {EBADF: 9, ENOMEM: 12, EMSGSIZE: 90, ENOBUFS: 105,
    ETOOMANYREFS: 109};
const STOCK = '212992'; /* bytes of a send buffer: the kernel's default limit */
const HOLDS = 40;     /* descriptors of a keeper that cannot hold all */
const WARN_MS = 2000; /* until the log says that some are not in custody */

/* The number that a process's next descriptor would get. */
function descriptorNext(pid) {
	const open = new Set(fs.readdirSync(`/proc/${pid}/fd`).map(Number));
	let n = 0;
	while (open.has(n))
		n++;
	return n;
}

/* Kills a worker; nobody may notice. */
async function killed(d, guests, slot) {
	const w = await row(d, slot);
	process.kill(w.pid, 'SIGKILL');
	await replaced(d, slot, w.generation);
	await guests.served();
}

/* Asks for WebSockets and resets each connection before the answer. */
async function reset(d, n) {
	const all = await Promise.all(Array.from({length: n}, () =>
	    new Promise((resolve, reject) => {
		const s = net.connect(d.port, '127.0.0.1', () => resolve(s));
		s.on('error', reject);
	})));
	for (const s of all) {
		s.removeAllListeners('error');
		s.on('error', () => {});
		s.write(request('/ws?user=brief'));
	}
	for (const s of all)
		s.resetAndDestroy();
	await until('they have gone', async () => !(await d.ask('show',
	    'connections')).some((c) => c.user === 'brief'));
}

group('custody', null, (test) => {
	sideBySide(test, {
		'handshakes that are reset at once': async () => {
			const d = await Daemon.start({workers: 1});
			const guests = await Guests.come(d, 20);
			for (let i = 0; i < (LONG ? 10 : 3); i++) {
				await reset(d, BURST);
				await guests.more(10);
			}
			await guests.kept();
			await killed(d, guests, 0);
			guests.leave();
			await d.stop();
		},

		'a note that the kernel refuses once': async () => {
			const {d, refuse} = await refusing({workers: 1});
			const guests = await Guests.come(d, 10);
			await guests.kept();
			for (const [name, number] of Object.entries(ERRNO)) {
				const sent = refuse(number);
				await guests.more(2);
				assert.ok(sent(), `${name}: nothing was sent`);
				await guests.more(3);
			}
			await guests.kept();
			await killed(d, guests, 0);
			guests.leave();
			await d.stop();
		},

		'the keeper cannot be reached when its worker dies': async () => {
			const {d, refuse} = await refusing({workers: 2});
			const guests = await Guests.come(d, 40);
			await guests.kept();
			for (const number of [ERRNO.ETOOMANYREFS, ERRNO.ENOBUFS]) {
				const sent = refuse(number), w = await row(d, 0);
				process.kill(w.pid, 'SIGKILL');
				await replaced(d, 0, w.generation);
				assert.ok(sent(), 'nothing was sent');
				await guests.served();
			}
			await guests.kept();
			guests.leave();
			await d.stop();
		},

		'the keeper cannot be reached when others go on for its worker': async () => {
			const {d, refuse} = await refusing({workers: 2});
			const guests = await Guests.come(d, 40);
			await guests.kept();
			await backOff(d, [1], 2);
			const w = await replaced(d, 1, 2);
			const sent = refuse(ERRNO.ETOOMANYREFS);
			process.kill(w.pid, 'SIGSEGV');
			await until('worker 0 has all', async () =>
			    (await d.balance())[0] === 40);
			assert.ok(sent(), 'nothing was sent');
			await guests.served();
			await whole(d);
			await guests.kept();
			guests.leave();
			await d.stop();
		},

		'one that cannot hold all: told, refused, and mended': async () => {
			const d = await Daemon.start({workers: 1});
			const guests = await Guests.come(d, 10);
			await guests.kept();
			const keeper = (await row(d, 0)).keeper;
			const lift = limit(keeper, 'nofile', HOLDS);
			await guests.more(2 * HOLDS);
			const begin = performance.now();
			await d.logged(/keeper has \d+ of \d+ connections/, 15000);
			assert.ok(performance.now() - begin < WARN_MS * 3,
			    `told after ${performance.now() - begin} ms`);
			const seen = await until('the count', async () => {
				const w = await row(d, 0);
				return w.opened === guests.all.length && w;
			});
			assert.ok(seen.kept >= 10 && seen.kept < HOLDS &&
			    seen.kept <= sockets(keeper), JSON.stringify(seen));
			assert.match((await d.ctl('show', 'workers')).stdout,
			    new RegExp(` ${seen.kept} of ${seen.opened} `));
			for (const r of await Promise.all([order(d, 'restart-worker', '0'),
			    order(d, 'upgrade')])) {
				assert.equal(r.status, 1);
				assert.match(r.stdout + r.stderr,
				    /keeper 0 has only \d+ of \d+ connections/);
			}
			assert.equal((await row(d, 0)).generation, 1);
			await guests.served();
			lift();
			await guests.kept();
			const good = await d.ctl('restart-worker', '0');
			assert.equal(good.status, 0, good.stderr);
			assert.equal((await row(d, 0)).generation, 2);
			await guests.served();
			guests.leave();
			await d.stop();
		},

		'a worker that cannot receive the link to its keeper': async () => {
			const d = await Daemon.start({workers: 1});
			const guests = await Guests.come(d, 20);
			await guests.kept();
			for (let i = 1; i <= 4; i++) {
				const w = await row(d, 0);
				const lift = limit(w.pid, 'nofile', descriptorNext(w.pid));
				process.kill(w.keeper, 'SIGKILL');
				await until('the link is lost', () => d.stderr
				    .match(/without its descriptor/g)?.length === i);
				lift();
				await guests.kept(10000);
			}
			await killed(d, guests, 0);
			guests.leave();
			await d.stop();
		},

		'one that is full gives back what it has': async () => {
			const d = await Daemon.start({workers: 1});
			const guests = await Guests.come(d, 5);
			await guests.kept();
			const {keeper, pid} = await row(d, 0);
			limit(keeper, 'nofile', HOLDS);
			/* One after the other, until it has no descriptor left. */
			for (let n = 0; n < HOLDS; n = processDescriptors(keeper)) {
				assert.ok(guests.all.length < HOLDS);
				await guests.more(1);
				await until('it has that one', () =>
				    processDescriptors(keeper) > n);
			}
			await guests.more(5);
			const {kept} = await until('some are kept, not all', async () => {
				const w = await row(d, 0);
				return w.kept > 20 && w.opened === guests.all.length && w;
			});
			/* The order to give back is there before the worker's end is seen. */
			process.kill(keeper, 'SIGSTOP');
			process.kill(pid, 'SIGKILL');
			await until('another worker', async () =>
			    (await row(d, 0)).generation === 2);
			process.kill(keeper, 'SIGCONT');
			await replaced(d, 0, 1);
			assert.ok(guests.ended().length <= guests.all.length - kept,
			    `${guests.ended().length} of ${guests.all.length} lost, ` +
			    `${kept} were kept`);
			guests.leave();
			await d.stop();
		},
	}, {limit: 120000});
});

group('custody, late', null, (test) => {
	for (const [what, ms] of LONG ? [['0.3 s', 300], ['1.2 s', 1200]] :
	    [['0.5 s', 500]])
		test(`a taker's keeper that is ${what} late`, async () => {
			const d = await Daemon.start({workers: false, conf: 'workers 1\n',
			    env: {LD_PRELOAD: noteLibrary(), SNDBUF: STOCK}});
			const guests = await Guests.come(d, 3000);
			fs.writeFileSync(d.conf, 'workers 2\n');
			assert.equal((await d.ctl('reload')).status, 0);
			await until('two workers', async () =>
			    (await d.ask('show', 'workers')).length === 2);
			await whole(d);
			const pause = late((await row(d, 1)).keeper, ms);
			assert.equal((await d.ctl('rebalance')).status, 0);
			await pause;
			/* Those that did not get through go with the next. */
			await until('half of them have moved', async () => {
				if ((await row(d, 1)).connections > 1400)
					return true;
				await d.ctl('rebalance');
			}, 20000);
			await guests.kept();
			await killed(d, guests, 1);
			guests.leave();
			await d.stop();
		}, {limit: 90000});
});

/* Gives an order that may take long. */
function order(d, ...words) {
	return run(CHATCTL, ['-s', d.socket, ...words], {limit: 60000});
}
