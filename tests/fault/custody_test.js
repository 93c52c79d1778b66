/*
 * A worker's keepers share its descriptors, so a worker that is killed costs
 * nobody: whatever limits there are, whatever the kernel refuses to send to the
 * next one, however late a keeper is.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('kill'); /* whose children can be preloaded */
const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const {group} = require('../system/suite.js');
const {Client, request} = require('../system/client.js');
const {CHATD, Daemon, pause, processLives, until} =
    require('../system/daemon.js');
const {Guests, backOff, hold, late, limit, noteLibrary, refusing, replaced, row,
    sideBySide, signal, whole} =
    require('./guests.js');

const BURST = 2000;   /* handshakes that are reset at once */
const ERRNO = {EBADF: 9, ENOMEM: 12, EMSGSIZE: 90, ENOBUFS: 105,
    ETOOMANYREFS: 109};
const STOCK = '212992'; /* bytes of a send buffer: the kernel's default limit */
const FILES = 48;     /* descriptors of each process, almost all used */
const REAPED_MS = 150; /* a death is told so late: longer than a period */
const HOLDS = 40;     /* connections that come meanwhile */

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

/* A program that does that, and executes chatd then. */
function entry(text) {
	const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-entry-'));
	process.on('exit', () => fs.rmSync(folder, {recursive: true}));
	fs.writeFileSync(path.join(folder, 'entry'),
	    `#!/bin/sh\n${text}\nexec '${CHATD}' "$@"\n`, {mode: 0o755});
	return path.join(folder, 'entry');
}

/* Kills both keepers at once: the master has none made by the other one. */
function keepersKilled(d, {keepers}) {
	process.kill(d.pid, 'SIGSTOP');
	for (const pid of keepers.filter((k) => k > 0))
		signal(pid, 'SIGKILL');
	process.kill(d.pid, 'SIGCONT');
}

/* Kills a worker with its keepers, and has the master hear of the worker's death
 * later: a tracer does not let it. Returns how long it could not. */
async function killedLate({pid, keepers}, ms) {
	await hold(pid);
	const tracer = Number(/TracerPid:\t(\d+)/.exec(
	    fs.readFileSync(`/proc/${pid}/status`, 'latin1'))[1]);
	process.kill(tracer, 'SIGSTOP');
	for (const one of [pid, ...keepers])
		process.kill(one, 'SIGKILL');
	const begin = performance.now();
	await pause(ms);
	process.kill(tracer, 'SIGKILL');
	return performance.now() - begin;
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

		'what the next worker is told is refused once': async () => {
			const {d, refuse} = await refusing({workers: 2});
			const guests = await Guests.come(d, 40);
			await guests.kept();
			for (const [name, number] of Object.entries(ERRNO)) {
				const w = await row(d, 0), sent = refuse(number);
				process.kill(w.pid, 'SIGKILL');
				await replaced(d, 0, w.generation);
				assert.ok(sent(), `${name}: nothing was sent`);
				await guests.served();
			}
			await guests.kept();
			guests.leave();
			await d.stop();
		},

		'what a mover gives is refused once': async () => {
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

		'keepers that may open nothing': async () => {
			const d = await Daemon.start({workers: 1});
			const guests = await Guests.come(d, 10);
			await guests.kept();
			for (let i = 0; i < 3; i++) {
				for (const pid of (await row(d, 0)).keepers)
					limit(pid, 'nofile', 0);
				await guests.more(HOLDS);
				await guests.kept();
				await killed(d, guests, 0);
			}
			guests.leave();
			await d.stop();
		},

		'a keeper dies while its worker may open nothing': async () => {
			const d = await Daemon.start({workers: 1});
			const guests = await Guests.come(d, 20);
			await guests.kept();
			for (let i = 0; i < 4; i++) {
				const {pid, keepers} = await row(d, 0);
				const lift = limit(pid, 'nofile', descriptorNext(pid));
				process.kill(keepers[i % 2], 'SIGKILL');
				await guests.kept(10000);
				await guests.served();
				if (i % 2) /* and so it dies */
					await killed(d, guests, 0);
				else
					lift();
			}
			guests.leave();
			await d.stop();
		},
	}, {limit: 120000});
});

group('custody, others', null, (test) => {
	test('who dies is not blamed while it cannot be reaped', async () => {
		const d = await Daemon.start({workers: 1});
		const client = await Guests.come(d, 1);
		for (let took = Infinity, tries = 0; took > REAPED_MS + 100;) {
			assert.ok(tries++ < 10, 'the machine is too busy');
			await whole(d);
			const from = d.stderr.length, w = await row(d, 0);
			took = await killedLate(w, REAPED_MS);
			await replaced(d, 0, w.generation);
			if (took <= REAPED_MS + 100)
				assert.doesNotMatch(d.stderr.slice(from), /spoilt/);
		}
		await d.logged(/both of its keepers are dead: 1 connections are lost/);
		client.leave();
		await d.stop();
	});
	test('keepers die while their worker, which retires, waits', async () => {
		const d = await Daemon.start({workers: 1});
		const guests = await Guests.come(d, 10);
		for (let i = 0; i < 2; i++) {
			/* it is waited for: a head that is not complete */
			const half = await Client.connect(d.port);
			await half.write('GET /ws HTTP/1.1\r\n');
			await guests.served(); /* so the half is read */
			const w = await row(d, 0);
			const asked = d.ctl('restart-worker', '0');
			await until('it is told', () => d.stderr.match(
			    /restarts worker 0/g)?.length > i);
			keepersKilled(d, w);
			assert.equal((await asked).status, 0);
			await whole(d);
			await guests.served();
			half.drop();
		}
		guests.leave();
		await d.stop();
	});
	test('keepers die beside a mover that others have no room for', async () => {
		const program = entry(`ulimit -n ${FILES}`);
		const d = await Daemon.start({workers: 2, program});
		/* a few at once: no worker takes more than it has room for */
		const guests = await Guests.come(d, FILES - 8, 4);
		await backOff(d, [0]);
		await d.logged(/has no room for \d+ more connections of worker 0/);
		keepersKilled(d, await row(d, 0));
		await d.logged(/its connections are with mover 0/);
		await whole(d);
		await guests.served();
		await guests.kept();
		guests.leave();
		await d.stop();
	});
	test('a child that was there before is left alone', async () => {
		const program = entry('sleep 1000 >/dev/null 2>&1 &\necho "beside $!"');
		const d = await Daemon.start({workers: 2, program});
		const beside = Number((await d.logged(/^beside \d+$/)).slice(7));
		try {
			const guests = await Guests.come(d, 8);
			for (let i = 0; i < 3; i++)
				await killed(d, guests, i % 2);
			assert.ok(processLives(beside));
			guests.leave();
		} finally {
			signal(beside, 'SIGKILL');
		}
		await d.stop();
	});
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
			const goesOn = late((await row(d, 1)).keeper, ms);
			assert.equal((await d.ctl('rebalance')).status, 0);
			await goesOn;
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
