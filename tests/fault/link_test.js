/*
 * Two workers that cannot be linked at first, because something is short, are
 * linked a moment later: nobody is killed for it, and relays go between them.
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
const {Crowd, talks, until} = require('./crowd.js');

const TRIES = 8;
const LIBRARY = path.join(BUILD, 'fault/failnth-link.so');

/* Starts a daemon one call of whose master fails: the n-th, for the first n from
 * `first` on that is one of those by which it links the workers. */
async function startWithout(call, first) {
	fs.mkdirSync(path.dirname(LIBRARY), {recursive: true});
	execFileSync(process.env.CC ?? 'gcc', ['-std=gnu11', '-D_GNU_SOURCE',
	    '-O2', '-shared', '-fPIC', '-o', LIBRARY,
	    path.join(__dirname, 'failnth.c')]);
	for (let n = first; n < first + TRIES; n++) {
		const d = await Daemon.start({workers: 2, env: {
			LD_PRELOAD: LIBRARY,
			FAILNTH: `${call}:${n}:master:once`}});
		await d.logged(/master: ready/);
		if (/no link between worker \d and worker \d/.test(d.stderr))
			return d;
		await d.kill();
	}
	throw new Error(`no ${call} links workers`);
}

group('link', null, (test) => {
	for (const [what, call, first] of [
	    ['no descriptors', 'socketpair', 6],
	    ['an end cannot be given', 'sendmsg', 3]])
		test(what, async () => {
			const d = await startWithout(call, first);
			const crowd = new Crowd(d);
			crowd.lost = (p) => assert.fail(`${p.user} is lost`);
			await crowd.joinAll(['a', 'b', 'c', 'd', 'e', 'f']);
			await until('relays both ways', async () => {
				await talks(crowd);
				if ((await d.json('show', 'workers')).every(
				    (w) => w.relayed > 0))
					return true;
				/* one worker may not have run, and have none */
				await crowd.join(`more${crowd.people.size}`);
				return false;
			});
			for (const w of await d.json('show', 'workers'))
				assert.equal(w.generation, 1, 'killed');
			await crowd.leave();
			await d.stop();
		}, {limit: 60000});
});
