/*
 * Descriptors run out: who comes then is told so, nobody spins, those who are
 * served notice nothing, and it ends when there are some again.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {BUILD} = require('./builds.js');

const FILES = 40;         /* descriptors of each process */
const TICKS = 100;        /* of the processor clock, a second */
const OVERLOAD_MS = 2000;
const SPIN = 0.2;         /* of one processor, all workers together */

/* A chatd that may open few files. */
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-files-'));
process.on('exit', () => fs.rmSync(folder, {recursive: true, force: true}));
fs.chmodSync(folder, 0o755);
fs.symlinkSync(path.join(BUILD, 'chatctl'), path.join(folder, 'chatctl'));
fs.writeFileSync(path.join(folder, 'chatd'),
    `#!/bin/sh\nulimit -n ${FILES} && exec '${BUILD}/chatd' "$@"\n`,
    {mode: 0o755});
process.env.CHATD = path.join(folder, 'chatd');

const {group} = require('../system/suite.js');
const {Crowd, attempt, pause, talks, until} = require('./crowd.js');

/* Seconds of processor time that some processes have used. */
function cpuSeconds(pids) {
	return pids.reduce((sum, pid) => {
		const text = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
		const f = text.slice(text.lastIndexOf(')') + 2).split(' ');
		return sum + (Number(f[11]) + Number(f[12])) / TICKS;
	}, 0);
}

group('descriptors', {workers: 2}, (test) => {
	test('out of them: no spinning, then service', async (d) => {
		const crowd = new Crowd(d);
		await crowd.joinAll(Array.from({length: 8}, (_, i) => `u${i}`));
		const flood = Array.from({length: 60}, (_, i) =>
		    attempt(d, `v${i}`, 20000));
		await until('descriptors are out', () =>
		    /127\.0\.0\.1:\d+: refused: 503 Too many open files/.test(d.stderr));
		const before = cpuSeconds(d.workers);
		await pause(OVERLOAD_MS);
		const share = (cpuSeconds(d.workers) - before) * 1000 /
		    OVERLOAD_MS;
		console.log(`     ${Math.round(share * 100)} % of a processor ` +
		    'while descriptors are out');
		assert.ok(share < SPIN, `${share} of a processor`);
		await talks(crowd);
		const all = await Promise.all(flood);
		const served = all.filter((r) => r.status === 101);
		const refused = all.filter((r) => r.status === 503);
		console.log(`     ${served.length} served, ${refused.length} ` +
		    'refused');
		assert.ok(served.length >= 4);
		assert.equal(served.length + refused.length, 60,
		    all.find((r) => r.status === 0)?.error?.message);
		for (const r of served)
			r.client.drop();
		await until('they have left', async () =>
		    (await d.json('show', 'connections')).length === 8);
		for (let i = 0; i < 6; i++)
			assert.equal((await attempt(d, `w${i}`, 1000)).status, 101);
		await talks(crowd);
		await crowd.leave();
	});
});

