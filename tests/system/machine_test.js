/*
 * The machine: what the log and -n say of its limits is what holds, and what
 * the configuration leaves open is chosen by them.
 */
'use strict';

const assert = require('node:assert/strict');
const {cage} = require('./cage.js');
const {group} = require('./suite.js');
const {Daemon} = require('./daemon.js');
const {Client, request} = require('./client.js');

const BATCH = 50; /* connections begun at once */

/* Whether one more client is served; it stays then. */
async function comes(d, user) {
	const c = await Client.connect(d.port);
	c.write(request(`/ws?user=${user}`));
	const {status} = await c.head();
	if (status !== 101)
		c.drop();
	else
		c.socket.pause(); /* what is said to all is not its business */
	return status === 101;
}

/* Connects until nobody has been served for a second; how many were. */
async function fill(d) {
	let n = 0, last = Date.now();
	for (let k = 0; Date.now() - last < 1000; k += BATCH) {
		const served = (await Promise.all(Array.from({length: BATCH},
		    (_, i) => comes(d, `u${k + i}`)))).filter(Boolean).length;
		n += served;
		if (served > 0)
			last = Date.now();
	}
	return n;
}

group('descriptors', null, (test) => {
	for (const files of [64, 256, 1000, 1024, 1100])
		test(`the log's figure at ulimit -n ${files}`, async () => {
			const d = await Daemon.start({env: cage({ulimit:
			    `-n ${files}`})});
			const line = await d.logged(/up to \d+ connections/);
			const said = Number(/up to (\d+) conn/.exec(line)[1]);
			assert.match(line, new RegExp(`${files} open files`));
			assert.equal(await fill(d), said, line);
			Client.dropAll();
			await d.clean();
			await d.stop();
		}, {limit: 60000});
	test('all that the configuration has, where they suffice', async () => {
		const d = await Daemon.start({conf: 'connections 100\n'});
		await d.logged(/up to 100 connections, on any worker/);
		await d.stop();
	});
});

group('io_uring', null, (test) => {
	const methods = async (d) => (await d.json('show', 'workers'))
	    .map((w) => w.writes);

	test('show workers says how each sends', async () => {
		const d = await Daemon.start({workers: 2});
		await d.logged(/writes by io_uring/);
		assert.deepEqual(await methods(d), ['io_uring', 'io_uring']);
		const {stdout} = await d.ctl('show', 'workers');
		assert.match(stdout, / RELAYED WRITES\n/);
		assert.match(stdout, / io_uring\n$/);
		await d.stop();
		const plain = await Daemon.start({workers: 2,
		    conf: 'io-uring no\n'});
		assert.deepEqual(await methods(plain), ['sendmsg', 'sendmsg']);
		assert.doesNotMatch(plain.stderr, /have no io_uring/);
		await plain.stop();
	});
	test('no locked memory: one warning with the remedy', async () => {
		const d = await Daemon.start({env: cage({ulimit: '-l 0'})});
		const line = await d.logged(/workers have no io_uring/);
		assert.match(line, /4 of 4 workers .*LimitMEMLOCK.*io-uring no/);
		assert.deepEqual(await methods(d), Array(4).fill('sendmsg'));
		assert.equal((await d.ctl('restart-worker', '1')).status, 0);
		assert.equal(d.stderr.match(/no io_uring/g).length, 1);
		await d.stop();
	});
});
