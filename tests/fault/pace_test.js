/*
 * A reader of the journal (tests/kinds/pace.c) as a process: its links, its
 * user, what it may call; killed, stopped, stuck, or hostile, renewed by
 * upgrades and resizes, while a crowd talks that notices nothing of it.
 */
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {BUILD} = require('./builds.js');
process.env.CHATD = path.join(BUILD, 'kill/kinds/sbin/chatd');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {CHATCTL, Daemon, processDescriptors, processLives, run} =
    require('../system/daemon.js');
const {Crowd, pause, until} = require('./crowd.js');

const LINE = 68;        /* kinds.c, hub/line.h */
const STILL_MS = 3000;  /* pace.c */
const STUCK_MS = 10000; /* master/watchdog.h */
const PEOPLE = 6;
const HUNG = /pace hung for (\d+) ms/;
const STUCK = /pace did not read on in the journal for (\d+) ms, killed/;

/* The file that says how it goes, in a folder that its user may read. */
class Pace {
	constructor() {
		this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'pace-'));
		fs.chmodSync(this.dir, 0o755);
		this.file = path.join(this.dir, 'pace');
		this.say('run');
	}

	say(word) {
		fs.writeFileSync(this.file + '.new', word);
		fs.renameSync(this.file + '.new', this.file);
	}

	remove() {
		fs.rmSync(this.dir, {recursive: true});
	}
}

/* Its row of `show workers`. */
async function row(d) {
	return (await d.json('show', 'workers')).find((w) => w.role === 'pace');
}

/* It runs, as another process than that one. */
function follows(d, pid) {
	return until('another one', async () => {
		const r = await row(d);
		return r.pid && r.pid !== pid && r.state === 'running' && r;
	}, 20000);
}

/* It has read all. */
function reads(d) {
	return until('it has read all', async () =>
	    (await row(d)).behind === 0);
}

/* The sockets that a process has open, but for standard streams. */
function sockets(pid) {
	const at = `/proc/${pid}/fd`;
	return fs.readdirSync(at).filter((fd) => {
		try {
			return fd > 2 && fs.readlinkSync(`${at}/${fd}`)
			    .startsWith('socket:');
		} catch {
			return false;
		}
	}).length;
}

/* It has a link with each of so many workers, besides those with the master and
 * the log process. */
function linked(d, workers) {
	return until(`${workers} links`, async () => {
		const {pid} = await row(d);
		return pid && sockets(pid) === workers + 2;
	});
}

/* A daemon with a reader, and a crowd that talks. */
async function talking(options) {
	const pace = new Pace();
	const d = await Daemon.start({workers: 2, ...options,
	    env: {CHATD_PACE: pace.file, ...options?.env}});
	await until('all run', async () =>
	    (await d.json('show', 'processes')).every((p) =>
	    p.state === 'running'), 15000);
	d.descriptors = processDescriptors(d.pid); /* with their links */
	const crowd = await Crowd.unbroken(d, PEOPLE);
	crowd.cut();
	crowd.talk([...crowd.people]);
	return {d, crowd, pace};
}

/* Nobody has noticed, and it has read all. */
async function end({d, crowd, pace}) {
	await crowd.judgeAll();
	await crowd.presence();
	await reads(d);
	await crowd.leave();
	await d.clean();
	await d.stop();
	pace.remove();
}

group('pace', null, (test) => {
	test('there is none that is not wanted', async () => {
		const d = await Daemon.start({workers: 2});
		const all = await d.json('show', 'processes');
		assert.ok(all.some((p) => p.kind === 'announce'));
		assert.ok(!all.some((p) => p.kind === 'pace'));
		const rows = await d.json('show', 'workers');
		assert.deepEqual(rows.map((w) => w.role), ['worker', 'worker']);
		await d.stop();
	});

	test('it is shown, and has a link with each worker', async () => {
		const all = await talking({workers: 3});
		const {d} = all;
		const r = await row(d);
		assert.equal(r.slot, LINE);
		assert.equal(r.state, 'running');
		const {stdout} = await d.ctl('show', 'workers');
		assert.match(stdout, new RegExp(
		    `\n +${LINE} +${r.pid} +1 running +- +- .* pace\n`));
		assert.ok((await d.json('show', 'processes')).some((p) =>
		    p.kind === 'pace' && p.pid === r.pid && p.cursor > 0));
		/* the same without the master, which alone knows what it is */
		const look = await run(CHATCTL, ['-m', String(d.pid), 'show',
		    'workers']);
		assert.match(look.stdout, new RegExp(
		    `\n +${LINE} +${r.pid} +1 running +- +- .* reader\n`));
		await linked(d, 3);
		for (let i = 0; i < 3; i++) {
			const {pid} = (await d.json('show', 'workers'))[i];
			process.kill(pid, 'SIGKILL');
			await until('another worker', async () => {
				const w = (await d.json('show', 'workers'))[i];
				return w.pid !== pid && w.state === 'running';
			});
			await linked(d, 3);
		}
		await end(all);
	});

	test('it has its own user and filter', async () => {
		const all = await talking(), {pid} = await row(all.d);
		const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
		const [, uid] = status.match(/^Uid:\t(\d+)\t\1\t\1\t\1$/m);
		const passwd = fs.readFileSync('/etc/passwd', 'latin1');
		if (process.getuid() === 0)
			assert.match(passwd,
			    new RegExp(`^games:[^:]*:${uid}:`, 'm'));
		assert.match(status, /^NoNewPrivs:\t1$/m);
		assert.match(status, /^Seccomp:\t2$/m);
		all.pace.say('call');
		await all.d.logged(/pace \(pid \d+\) died of SIGSYS/);
		all.pace.say('run');
		await follows(all.d, pid);
		await end(all);
	});

	test('killed, it goes on where it was', async () => {
		const all = await talking(), {d} = all;
		for (let i = 0; i < 5; i++) {
			await reads(d);
			const {pid, cursor} = await row(d);
			process.kill(pid, 'SIGKILL');
			const next = await follows(d, pid);
			assert.ok(next.cursor >= cursor);
			await linked(d, 2);
		}
		await end(all);
	});

	for (const how of ['stopped', 'asleep'])
		test(`${how}, it is replaced`, async () => {
			const all = await talking(), {d, pace} = all;
			const {pid} = await row(d), t = performance.now();
			if (how === 'stopped')
				process.kill(pid, 'SIGSTOP');
			else
				pace.say('sleep');
			const line = await d.logged(HUNG, 15000);
			assert.ok(performance.now() - t > STILL_MS - 500);
			assert.ok(Number(line.match(HUNG)[1]) >= STILL_MS);
			pace.say('run');
			await follows(d, pid);
			await end(all);
		});

	test('one that does not read on is replaced, unless it says why', async () => {
		const all = [await talking(), await talking()];
		const [stands, blocked] = all;
		const {pid} = await row(stands.d), other = await row(blocked.d);
		stands.pace.say('stand');
		blocked.pace.say('blocked');
		const t = performance.now();
		await until('it is behind', async () =>
		    (await row(blocked.d)).behind > 0);
		const line = await stands.d.logged(STUCK, 2 * STUCK_MS);
		assert.ok(performance.now() - t > STUCK_MS - 500);
		assert.ok(Number(line.match(STUCK)[1]) >= STUCK_MS);
		stands.pace.say('run');
		await follows(stands.d, pid);
		await until('the other one had as long', () =>
		    performance.now() - t > STUCK_MS + 2000);
		const r = await row(blocked.d);
		assert.equal(r.pid, other.pid);
		assert.ok(r.behind > 0);
		blocked.pace.say('run');
		for (const one of all)
			await end(one);
	}, {limit: 60000});

	test('hostile, it is accused and replaced, and no worker is', async () => {
		const all = await talking(), {d, pace} = all;
		const before = await d.json('show', 'workers');
		const {pid} = await row(d);
		pace.say('bad');
		await d.logged(/message from the reader of line 68 ignored: not for this sender/);
		await d.logged(/link to the reader of line 68 closed/);
		await d.logged(/pace sent worker \d bad messages, killed/);
		pace.say('run');
		await follows(d, pid);
		await linked(d, 2);
		assert.deepEqual((await d.json('show', 'workers'))
		    .slice(0, 2).map((w) => w.pid),
		    before.slice(0, 2).map((w) => w.pid));
		await end(all);
	});

	test('hostile in each of its processes, it costs no worker its own',
	    async () => {
		const all = await talking(), {d, pace} = all;
		const pids = async () => (await d.json('show', 'workers'))
		    .slice(0, 2).map((w) => w.pid);
		const before = await pids();
		pace.say('bad');
		await d.logged(/bad messages, again and again: it is not replaced/);
		const {pid} = await row(d);
		pace.say('run');
		assert.deepEqual(await pids(), before);
		await until('it runs on', async () => {
			const p = await row(d);
			return p.pid === pid && p.state === 'running';
		});
		await end(all);
	});

	test('more and fewer workers, a new program, other memory', async () => {
		const all = await talking({workers: false, conf: 'workers 2\n'});
		const {d} = all;
		for (const n of [4, 2]) {
			fs.writeFileSync(d.conf, `workers ${n}\n`);
			const r = await d.ctl('reload');
			assert.equal(r.status, 0, r.stderr);
			await until('so many workers', async () => {
				const all = (await d.json('show', 'workers'))
				    .filter((w) => w.role === 'worker');
				return all.length === n &&
				    all.every((w) => w.state === 'running');
			}, 20000);
			if (n === 4)
				await linked(d, 4);
		}
		let {pid, cursor} = await row(d);
		for (const conf of ['workers 2\n', 'workers 2\nusers 5000\n']) {
			fs.writeFileSync(d.conf, conf);
			const r = await d.ctl('upgrade');
			assert.equal(r.status, 0, r.stderr);
			await until('all are replaced', async () =>
			    (await d.json('show', 'upgrade')).state === 'done',
			    30000);
			const next = await follows(d, pid);
			assert.ok(next.cursor >= cursor);
			({pid, cursor} = next);
			await linked(d, 2);
		}
		await d.logged(/memory copied in/);
		await end(all);
	}, {limit: 90000});

	test('it comes and goes with programs that have it or not', async () => {
		const plain = path.join(BUILD, 'kill/chatd');
		const pace = new Pace();
		const d = await Daemon.start({workers: 2, program: plain,
		    env: {CHATD_PACE: pace.file}});
		const crowd = await Crowd.unbroken(d, PEOPLE);
		crowd.cut();
		crowd.talk([...crowd.people]);
		let pid = 0;
		for (const program of [process.env.CHATD, plain,
		    process.env.CHATD]) {
			const r = await d.ctl('upgrade', program);
			assert.equal(r.status, 0, r.stderr);
			await until('all are replaced', async () =>
			    (await d.json('show', 'upgrade')).state === 'done',
			    30000);
			if (program === plain) {
				assert.equal(await row(d), undefined);
				await until('it is gone', () => !processLives(pid));
			} else {
				({pid} = await follows(d, pid));
				await linked(d, 2);
				await reads(d);
			}
		}
		assert.equal(d.stderr.match(/memory copied in/g).length, 3);
		await crowd.judgeAll();
		await crowd.presence();
		await crowd.leave();
		await d.stop();
		pace.remove();
	}, {limit: 90000});

	test('killed while the daemon quits, it is replaced', async () => {
		const {d, crowd, pace} = await talking();
		await crowd.judgeAll();
		const {pid} = await row(d);
		process.kill(d.pid, 'SIGQUIT');
		await d.logged(/leaving when the last client has left/);
		process.kill(pid, 'SIGKILL');
		await follows(d, pid);
		const other = (await d.json('show', 'processes'))
		    .find((p) => p.kind === 'count').pid;
		process.kill(other, 'SIGKILL');
		await d.logged(/count \(pid \d+\) died of SIGKILL.* none follows/);
		await crowd.leave();
		const {status} = await d.exited;
		assert.equal(status, 0);
		pace.remove();
	});

	test('stopped, it keeps the daemon from no end', async () => {
		const {d, crowd, pace} = await talking();
		const {pid} = await row(d);
		await crowd.judgeAll();
		await crowd.leave();
		process.kill(pid, 'SIGSTOP');
		await d.stop();
		await until('it is gone', () => !processLives(pid));
		pace.remove();
	});
});
