/*
 * Descriptors 0, 1 and 2 are closed at the start, in any combination: nothing
 * that chatd opens takes their place, so nothing is written where it does not
 * belong.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {group} = require('./suite.js');
const {CHATCTL, CHATD, Daemon, ENV, answers, freePort, processChildren,
    processLives, run, until} = require('./daemon.js');
const {Client} = require('./client.js');

const CLOSE = ['<&-', '>&-', '2>&-'];
const COMBINATIONS = [1, 2, 3, 4, 5, 6, 7].map((bits) =>
    CLOSE.filter((_, fd) => bits & 1 << fd).join(' '));
const LOOK_BYTES = 1024 * 1024; /* of shared memory */

/* What descriptor fd of a process is. */
function descriptor(pid, fd) {
	try {
		return fs.readlinkSync(`/proc/${pid}/fd/${fd}`);
	} catch {
		return 'closed';
	}
}

/* Runs a program to its end with descriptors closed. */
function runClosed(closed, file, ...args) {
	return run('sh', ['-c', `exec "$@" ${closed}`, 'sh', file, ...args]);
}

/* Each process of the daemon has /dev/null there. */
function judgeDescriptors(pid, closed) {
	for (const p of [pid, ...processChildren(pid)])
		CLOSE.forEach((text, fd) => {
			if (closed.split(' ').includes(text))
				assert.equal(descriptor(p, fd), '/dev/null',
				    `descriptor ${fd} of ${p}`);
			else
				assert.doesNotMatch(descriptor(p, fd),
				    /memfd|closed/);
		});
}

/* The log is not in shared memory. */
function judgeMemory(pid) {
	const fd = fs.readdirSync(`/proc/${pid}/fd`).find((n) =>
	    descriptor(pid, n).startsWith('/memfd:chatd '));
	if (fd === undefined)
		return; /* closed once it is mapped */
	const file = fs.openSync(`/proc/${pid}/fd/${fd}`, 'r');
	const bytes = Buffer.alloc(LOOK_BYTES);
	fs.readSync(file, bytes, 0, LOOK_BYTES, 0);
	fs.closeSync(file);
	assert.ok(!bytes.includes('chatd['), 'the log is in shared memory');
}

/* Clients come, talk and leave; the daemon says sensible things. */
async function judgeService(port, ctl) {
	for (let i = 0; i < 30; i++) {
		const c = await Client.user(port, `u${i}`);
		c.text('hello');
		assert.equal(await c.heard(), `u${i} says: hello`);
		await c.close();
	}
	const r = await ctl('-j', 'show', 'stats');
	assert.equal(r.status, 0, JSON.stringify(r));
	assert.ok(JSON.parse(r.stdout).position < 2 ** 30, r.stdout);
}

group('descriptors closed', null, (test) => {
	for (const closed of COMBINATIONS) {
		test(`chatd -d ${closed}, and an upgrade`, async () => {
			const d = await Daemon.start({closed, args: ['-v'],
			    workers: 2});
			judgeDescriptors(d.pid, closed);
			await judgeService(d.port, (...a) => d.ctl(...a));
			judgeMemory(d.pid);
			const r = await d.ctl('upgrade');
			assert.deepEqual([r.status, r.stderr], [0, '']);
			judgeDescriptors(d.pid, closed);
			await judgeService(d.port, (...a) => d.ctl(...a));
			judgeMemory(d.pid);
			await d.stop();
		});
		test(`chatd ${closed}`, async () => {
			const dir = fs.mkdtempSync(path.join(os.tmpdir(),
			    'chatd-test-'));
			const port = await freePort();
			const file = (name) => path.join(dir, name);
			const r = await runClosed(closed, CHATD, '-v', '-w', '2',
			    '-l', `127.0.0.1:${port}`, '-s', file('s'), '-p',
			    file('pid'));
			assert.equal(r.status, 0, JSON.stringify(r));
			const pid = Number(fs.readFileSync(file('pid'), 'utf8'));
			const family = [pid, ...processChildren(pid)];
			try {
				assert.ok(await answers(port));
				judgeDescriptors(pid, CLOSE.join(' '));
				const ctl = (...a) =>
				    run(CHATCTL, ['-s', file('s'), ...a]);
				await judgeService(port, ctl);
				judgeMemory(pid);
				assert.equal((await ctl('stop')).status, 0);
				await until('no process left', () =>
				    !family.some(processLives), 6000);
			} finally {
				for (const p of family.filter(processLives))
					process.kill(p, 'SIGKILL');
				fs.rmSync(dir, {recursive: true, force: true});
			}
		});
		test(`chatd -n and -V ${closed}`, async () => {
			for (const option of ['-n', '-V']) {
				const r = await runClosed(closed, CHATD, option);
				assert.equal(r.status, 0, JSON.stringify(r));
				assert.equal(r.stdout, option === '-V' &&
				    !closed.split(' ').includes('>&-') ?
				    'chatd 0.1.0\n' : '');
			}
		});
	}
});

group('chatctl, descriptors closed', {workers: 2}, (test) => {
	for (const closed of COMBINATIONS)
		test(closed, async (d) => {
			const r = await runClosed(closed, CHATCTL, '-s', d.socket,
			    'show', 'workers');
			assert.equal(r.status, 0, JSON.stringify(r));
			assert.equal(r.stderr, '');
			/* Standard output, closed, is not the control socket. */
			if (closed.split(' ').includes('>&-'))
				assert.equal(r.stdout, '');
			else
				assert.match(r.stdout, /running/);
			const none = await runClosed(closed, CHATCTL, '-s',
			    d.socket, 'restart-worker', '77');
			assert.equal(none.status, 1);
		});
});

group('descriptors closed, /dev/null missing', null, (test) => {
	if (process.getuid() === 0)
		test('a failure with a word', async () => {
			for (const [file, args] of [[CHATD, ['-V']],
			    [CHATCTL, ['show', 'workers']]]) {
				const r = await run('unshare', ['--mount', 'sh',
				    '-ec', 'mount -t tmpfs none /dev; ' +
				    'exec "$@" <&-', 'sh', file, ...args],
				    {env: {...ENV, ASAN_OPTIONS: 'detect_leaks=0'}});
				assert.equal(r.status, 1, JSON.stringify(r));
				assert.match(r.stderr, /\/dev\/null: /);
				assert.equal(r.stdout, '');
			}
		});
});
