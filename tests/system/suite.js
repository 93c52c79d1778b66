/*
 * suite: a small test runner. A test file declares groups; a group has one
 * daemon (or none), started before its first test, judged after every test
 * and at its end.
 *
 *	group('limits', {conf: 'message-size 1K\n'}, (test) => {
 *		test('a message of 1 KiB passes', async (d) => { ... });
 *	});
 *	group('options', null, (test) => { ... });   // no daemon
 *
 * Prints a line for each test and `N passed, N failed` at the end. An argument
 * is a regular expression that chooses tests. The third argument of a test:
 * {limit: ms} instead of 30 s; {ends: true} if it stops the daemon itself.
 */
'use strict';

const {Client} = require('./client.js');
const {Daemon, patience} = require('./daemon.js');

const LIMIT_MS = 30000;
const groups = [];
const wanted = new RegExp(process.argv[2] ?? '');
let passed = 0, failed = 0;

/* Declares a group of tests; see above. */
function group(name, options, declare) {
	const tests = [];
	declare((title, body, more = {}) => {
		const full = `${name}: ${title}`;
		if (wanted.test(full))
			tests.push({name: full, body, ...more});
	});
	if (tests.length)
		groups.push({name, options, tests});
}

/* Runs body with a limit of time; a busy machine has more of it. */
function limited(body, ms) {
	let timer;
	const limit = new Promise((_, reject) => {
		const over = () => reject(new Error(`not done in ${ms} ms`));
		timer = setTimeout(() => {
			timer = setTimeout(over, (patience() - 1) * ms);
		}, ms);
	});
	return Promise.race([body(), limit]).finally(() => clearTimeout(timer));
}

/* Runs one step, counts it and says how it went. */
async function step(name, body, ms, daemon) {
	const begin = Date.now();
	try {
		await limited(body, ms);
		passed++;
		console.log(`ok   ${name} (${Date.now() - begin} ms)`);
		return true;
	} catch (error) {
		failed++;
		console.log(`FAIL ${name} (${Date.now() - begin} ms)\n` +
		    String(error.stack ?? error).replace(/^/gm, '\t'));
		const log = daemon()?.stderr;
		if (log)
			console.log('\tlog of chatd, its end:\n' +
			    log.slice(-2000).replace(/^/gm, '\t| '));
		return false;
	}
}

/* One group: a daemon, its tests, the daemon's end. */
async function runGroup(g) {
	let d = null;
	for (const t of g.tests) {
		const good = await step(t.name, async () => {
			if (g.options && !d)
				d = await Daemon.start(g.options);
			try {
				await t.body(d);
			} finally {
				Client.dropAll();
			}
			if (d && !t.ends)
				await d.clean();
		}, t.limit ?? LIMIT_MS, () => d);
		/* A broken daemon must not fail the tests that follow. */
		if (!good || t.ends) {
			await Daemon.killAll();
			d = null;
		}
	}
	if (d)
		await step(`${g.name}: the daemon ends well`, () => d.stop(),
		    LIMIT_MS, () => d);
	await Daemon.killAll();
}

/* All groups, then the sum. */
async function main() {
	for (const g of groups)
		await runGroup(g);
	console.log(`${passed} passed, ${failed} failed`);
	process.exit(failed || !passed ? 1 : 0);
}

for (const signal of ['SIGTERM', 'SIGINT'])
	process.on(signal, async () => {
		console.log(`FAIL ended by ${signal}`);
		await Daemon.killAll();
		process.exit(1);
	});
setImmediate(main);

module.exports = {group};
