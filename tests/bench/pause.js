/*
 * pause: how long clients hear nothing while an upgrade copies the memory: N
 * connections, of which some at each worker ask again and again.
 *
 *	node tests/bench/pause.js [connections [rounds]]
 *
 * There and back between CHATD (build/chatd) and OTHER (build/other-layout/
 * chatd); prints for each upgrade the longest time without an answer, what the
 * log tells of it, and whether anybody was disconnected. Exit 1: somebody was.
 */
'use strict';

const fs = require('node:fs');
const path = require('node:path');
process.env.CHATD ??= path.join(__dirname, '../../build/chatd');
const {Guests} = require('../fault/guests.js');
const {Daemon, ROOT, pause, until} = require('../system/daemon.js');

const OTHER = path.resolve(process.env.OTHER ??
    path.join(ROOT, 'build/other-layout/chatd'));
const [N, ROUNDS] = [Number(process.argv[2] ?? 10000),
    Number(process.argv[3] ?? 6)];
const ASKERS = 100;   /* of all connections, spread over the workers */
const PACE_MS = 5;    /* from an answer to the next question */

/* Asks until it is told to stop; notes the longest wait for an answer. */
async function asker(guests, c, run) {
	while (!run.over) {
		const begin = performance.now();
		await guests.ask(c, 60000);
		run.longest = Math.max(run.longest, performance.now() - begin);
		await pause(PACE_MS);
	}
}

/* The numbers of what the log has said since then. */
function told(text) {
	const one = (what) => Number((what.exec(text) ?? [])[1]);
	const all = (what) => [...text.matchAll(what)].map((m) => Number(m[1]));
	return {stopped: one(/memory copied in (\d+) ms since/),
	    copied: one(/messages in (\d+) ms/),
	    takeovers: all(/adopted \d+ connections in (\d+) ms/g)};
}

async function main() {
	const d = await Daemon.start({workers: 4,
	    conf: `connections ${N + 100}\n`});
	const usual = fs.readlinkSync(`/proc/${d.pid}/exe`);
	const guests = await Guests.come(d, N);
	const step = Math.floor(N / ASKERS);
	const some = guests.all.filter((c, i) => i % step === 0);
	let bad = 0;
	await guests.kept();
	for (let round = 0; round < ROUNDS; round++) {
		const run = {longest: 0, over: false}, from = d.stderr.length;
		const busy = some.map((c) => asker(guests, c, run));
		await pause(300);
		const quiet = run.longest;
		run.longest = 0;
		const r = await d.ctl('upgrade', round % 2 === 0 ? OTHER : usual);
		await until('the takeovers are told', () =>
		    told(d.stderr.slice(from)).takeovers.length >= 4);
		await pause(300);
		run.over = true;
		await Promise.all(busy);
		const t = told(d.stderr.slice(from));
		bad += guests.ended().length + (r.status !== 0);
		console.log(`${run.longest.toFixed(0)} ms without an answer ` +
		    `(${quiet.toFixed(0)} before): workers stopped and memory ` +
		    `copied after ${t.stopped} ms, of which copying ${t.copied}, ` +
		    `takeovers ${t.takeovers.join(' ')}; ` +
		    `${guests.ended().length} disconnected` +
		    (r.status === 0 ? '' : `; ${r.stderr}`));
	}
	await guests.served();
	guests.leave();
	await d.kill();
	process.exit(bad === 0 ? 0 : 1);
}

main();
