/*
 * A family goes on: workers are killed, and the successor of each, or a keeper,
 * dies at one of the kill points that it passes from its order until it serves.
 * Another one follows each time, and nobody notices.
 */
'use strict';

const {choose} = require('./builds.js');
choose('kill');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Daemon, pause, until} = require('../system/daemon.js');
const {Crowd, talks} = require('./crowd.js');
const {KEEPERS, List} = require('./kill_points.js');

const WORKERS = 4;
const USERS = Array.from({length: 12}, (_, i) => `u${i}`);
/* Between two rounds: a place has at most 20 deaths in 10 s. */
const ROUND_MS = 1000;

/* Kills all workers, or all keepers of each, and waits until others serve, with
 * two keepers each. */
async function round(d, keepers = false) {
	const before = await d.json('show', 'workers');
	/* so that it has none made by the other one meanwhile */
	process.kill(d.pid, 'SIGSTOP');
	for (const w of before)
		for (const pid of keepers ? w.keepers : [w.pid])
			process.kill(pid, 'SIGKILL');
	process.kill(d.pid, 'SIGCONT');
	await until('all serve again, with two keepers each', async () => {
		const now = await d.json('show', 'workers');
		return now.every((w, i) => w.state === 'running' &&
		    w.generation > before[i].generation &&
		    w.keepers.filter((pid) => pid > 0).length === 2);
	});
	await pause(ROUND_MS);
}

group('family', null, (test) => {
	for (const [who, line, files, rescue] of [
	    ['a successor', 0, /^process\/(family|child)|^takeover\/table/],
	    ['a keeper', KEEPERS, /^process\/family/],
	    /* whose connections are with the worker before it */
	    ['the first of another family', 0,
		/^process\/(family|child)|^takeover\/pull/, true]])
		test(`${who} dies at each point of its beginning`, async () => {
			const list = new List();
			const d = await Daemon.start({workers: WORKERS,
			    env: {CHATD_KILL_LIST: list.path}});
			const crowd = new Crowd(d);
			crowd.lost = (p) => assert.fail(`${p.user} is lost`);
			await crowd.joinAll(USERS);
			await crowd.locate();
			await round(d, rescue);
			const points = [...list.passes(files).keys()];
			const fired = () => Array.from({length: WORKERS},
			    (_, i) => list.fired(line + i))
			    .reduce((a, b) => a + b);
			assert.ok(points.length >= (rescue ? 6 : 10), points.join());
			while (points.length > 0) {
				points.splice(0, WORKERS).forEach((point, i) =>
				    list.arm(parseInt(point, 10), 1, line + i));
				await round(d, rescue);
				await talks(crowd);
				for (let i = 0; i < WORKERS; i++)
					list.arm(0, 0, line + i);
			}
			assert.ok(fired() >= 6, `${fired()} deaths`);
			assert.doesNotMatch(d.stderr, /connections are lost/);
			assert.equal(crowd.people.size, USERS.length);
			await crowd.presence();
			await crowd.leave();
			await d.stop();
			list.remove();
		});
});
