/*
 * An upgrade that copies the memory, while one of its processes dies or stops
 * at each step: the process that copies (at each of its kill points), a worker
 * (at points of its end and of its successor's begin), a keeper, a worker that
 * has retired. A crowd talks meanwhile: the upgrade is done, or refused with
 * the reason; nobody is disconnected, nothing is lost or doubled, not even what
 * is half received. Where the master dies the daemon ends, and leaves no
 * process. The sizes in the configuration change each time, so that one program
 * is enough.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('kill');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const {Client, OP, fragments} = require('../system/client.js');
const {group} = require('../system/suite.js');
const {TELL, sdk, subscribed} = require('../system/centrifugo.js');
const {Daemon, processChildren, processLives, processStat} = require('../system/daemon.js');
const {Crowd, until} = require('./crowd.js');
const {WAIT_MS, sideBySide, signal, whole} = require('./guests.js');
const {COPIER, List} = require('./kill_points.js');

const PEOPLE = 12, SPEAKERS = 3;
const HALF = 'half'.repeat(5000); /* of which half is there all the time */
/* Who has sent half of it answers no ping, and stays for all that. */
const CONF = `${TELL}ping-interval 1h\n`;
const COPY = /^(hub\/convert|master\/conversion)/;
const WORKER = /^(worker|takeover|conn|hub|process)\/(?!convert)/;
const DEATHS = LONG ? 1000 : 12; /* of a worker; slots may die 20 times in 10 s */
const COPIED = [0, ''];
let users = 5000;

/* Upgrades with other sizes; what chatctl said. */
function copy(d) {
	fs.writeFileSync(d.conf, `${CONF}users ${++users}\n`);
	return d.ctl('upgrade');
}

/* That succeeds. */
async function copied(d, answer = copy(d)) {
	const r = await answer;
	assert.deepEqual([r.status, r.stderr], COPIED, d.stderr.slice(-2000));
	await whole(d);
}

/* The process that copies; undefined: there is none. */
function copier(d) {
	return processChildren(d.pid).find((pid) => {
		try {
			return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1')
			    .includes('convert:');
		} catch {
			return false; /* it has just ended */
		}
	});
}

/* A daemon with a crowd that talks; body gets it, and all is well after it. */
async function talking(body) {
	const list = new List();
	const d = await Daemon.start({workers: 2, conf: CONF,
	    env: {CHATD_KILL_LIST: list.path}});
	const member = sdk(d, '?user=member'), lost = [];
	const sub = await subscribed(member, 'tell');
	for (const name of ['disconnected', 'connecting'])
		member.on(name, (why) => lost.push(why));
	const crowd = await Crowd.unbroken(d, PEOPLE);
	crowd.cut();
	crowd.talk([...crowd.people].slice(0, SPEAKERS));
	const half = await Client.user(d.port, 'half', 'half');
	const [begin, rest] = fragments(OP.TEXT, HALF, HALF.length / 2);
	half.write(begin);
	await copied(d);
	await body(d, list, crowd);
	await whole(d);
	await until('no process copies', () => copier(d) === undefined,
	    WAIT_MS);
	half.write(rest);
	await until('its message is heard', () => [...crowd.people].every((p) =>
	    p.heard.filter((line) => line === `half says: ${HALF}`).length ===
	    1), WAIT_MS);
	await sub.publish(1);
	await until('it is published', () => sub.heard.length > 0, WAIT_MS);
	assert.deepEqual([sub.heard.map((p) => p.data), lost], [[1], []]);
	member.disconnect();
	await crowd.judgeAll();
	half.drop();
	await crowd.presence();
	await crowd.leave();
	await d.clean();
	await d.stop();
	list.remove();
}

/* The points that are passed in an upgrade, in their order in the files:
 * "7 NAME". */
async function points(d, list, files) {
	const before = list.passes(files);
	await copied(d);
	const line = (key) => parseInt(key.split(':')[1], 10);
	return [...list.passes(files)].filter(([key, n]) =>
	    n > (before.get(key) ?? 0n)).map(([key]) => key)
	    .sort((a, b) => line(a) - line(b));
}

/* The points of the copier's own file, in the order of that: behind its task,
 * before the copy, behind it, when it has said so, at its begin, when it has
 * made the new memory, when it has said so. The master kills it when it has
 * said that it is done, so that may not be passed: undefined then. */
async function steps(d, list) {
	return named(await points(d, list, COPY));
}

/* Those among the points of a copy. */
function named(points) {
	const all = points.filter((key) => key.includes('conversion_child'));
	if (all.length === 6)
		all.splice(3, 0, undefined);
	assert.equal(all.length, 7, String(all));
	return {told: all[0], copying: all[1], copied: all[2], done: all[3],
	    begun: all[4], made: all[5], ready: all[6]};
}

/* Begins an upgrade whose copier stops at a point; the answer to come. */
async function stopAt(d, list, key) {
	const n = list.fired(COPIER);
	list.arm(parseInt(key, 10), 1, COPIER, 'SIGSTOP');
	const answer = copy(d);
	await until('it stops', () => list.fired(COPIER) > n &&
	    processStat(copier(d))?.state === 'T', WAIT_MS);
	return {answer}; /* not awaited */
}

/* The copier dies at each point of the copy. */
async function copierDies(d, list) {
	const all = await points(d, list, COPY);
	const done = named(all).done;
	for (const key of all) {
		const n = list.fired(COPIER);
		const before = await d.ask('show', 'workers');
		list.arm(parseInt(key, 10), 1, COPIER);
		const r = await copy(d);
		if (key === done) /* it is needed no more */
			assert.deepEqual([r.status, r.stderr], COPIED, key);
		else {
			assert.equal(list.fired(COPIER), n + 1, key);
			assert.equal(r.status, 1, key);
			assert.match(r.stderr, /copies the memory died of SIGKILL/,
			    key);
		}
		await whole(d);
		const after = await d.ask('show', 'workers');
		after.forEach((w, i) => assert.ok(w.generation <=
		    before[i].generation + 1, key));
	}
	console.log(`     the copier died at ${all.length} points`);
	assert.ok(all.length >= 15, String(all));
	await copied(d);
}

/* The points that a worker has passed, old or new, spread over the files: those
 * of its end first, then each so many of the others, each time the next ones. */
function spread(passed) {
	const step = Math.ceil(passed.length / DEATHS);
	const rank = (key, i) => key.includes('worker/leave') ? -1 : i % step;
	return passed.map((key, i) => [rank(key, i), key])
	    .sort(([a], [b]) => a - b).map(([, key]) => key);
}

/* Worker 0 dies at points that it passes, old and new: some are passed by the
 * other worker alone, then the next one is tried. */
async function workerDies(d, list) {
	const passed = await points(d, list, WORKER);
	let deaths = 0, undone = 0, tried = 0;
	for (const key of spread(passed)) {
		if (deaths >= DEATHS)
			break;
		tried++;
		const n = list.fired();
		list.arm(parseInt(key, 10));
		const r = await copy(d);
		list.arm(0, 0);
		await whole(d);
		deaths += list.fired() - n;
		undone += r.status;
		if (r.status === 0)
			assert.equal(r.stderr, '', key);
		else {
			assert.equal(r.status, 1, key);
			assert.match(r.stderr, /worker 0 died before it had retired|worker 0 is not running/, key);
		}
	}
	console.log(`     worker 0 died ${deaths} times at ${tried} of ` +
	    `${passed.length} points, ${undone} upgrades were refused`);
	assert.ok(deaths >= Math.min(DEATHS, passed.length / 3),
	    `${deaths} deaths`);
	assert.ok(undone > 0, 'no upgrade was refused');
	await copied(d);
}

/* With the copier stopped at a step, something happens; then it goes on, and
 * the upgrade is done. */
function meanwhile(step, act) {
	return () => talking(async (d, list) => {
		const all = await steps(d, list);
		const workers = await d.ask('show', 'workers');
		const {answer} = await stopAt(d, list, all[step]);
		await act(workers, d);
		signal(copier(d), 'SIGCONT');
		await copied(d, answer);
	});
}

/* The copier stops for good. */
function stops(step, reason) {
	return () => talking(async (d, list) => {
		const all = await steps(d, list);
		const {answer} = await stopAt(d, list, all[step]);
		const r = await answer;
		assert.equal(r.status, 1);
		assert.match(r.stderr, reason);
		await until('it is gone', () => copier(d) === undefined,
		    WAIT_MS);
		await copied(d);
	});
}

/* The copier stops when it has said that it is done: it does not stay. The
 * master may have killed it before: that is good, too. */
async function stopsLate(d, list) {
	const n = list.fired(COPIER);
	for (let i = 0; i < 5 && list.fired(COPIER) === n; i++) {
		const {done} = await steps(d, list);
		if (done !== undefined)
			list.arm(parseInt(done, 10), 1, COPIER, 'SIGSTOP');
		await copied(d);
		await until('it is gone', () => copier(d) === undefined,
		    WAIT_MS);
	}
	list.arm(0, 0, COPIER);
	console.log(`     it has ${list.fired(COPIER) > n ? '' : 'not '}stopped`);
}

/* The master dies when something has stopped. */
function masterDies(stop) {
	return async () => {
		const list = new List();
		const d = await Daemon.start({workers: 2,
		    env: {CHATD_KILL_LIST: list.path}});
		const crowd = new Crowd(d);
		await crowd.joinAll(['a', 'b', 'c', 'd']);
		await copied(d);
		await stop(d, list);
		const family = processChildren(d.pid);
		assert.ok(family.length >= 4);
		signal(d.pid, 'SIGKILL');
		await until('no process left', () => !family.some(processLives),
		    WAIT_MS);
		await until('all are told', () => crowd.people.size === 0,
		    WAIT_MS);
		await d.kill();
		list.remove();
	};
}

/* The copier stops at that step. */
function copierStops(step) {
	return async (d, list) => {
		const all = await steps(d, list);
		await stopAt(d, list, all[step]);
	};
}

/* Worker 0 of the new program stops in its takeover. */
async function successorStops(d, list) {
	const passed = await points(d, list, /^takeover\/adopt/);
	assert.ok(passed.length > 0);
	const n = list.fired();
	list.arm(parseInt(passed[0], 10), 1, 0, 'SIGSTOP');
	/* The one before may not be over yet: then it is refused. */
	let over = true;
	const begin = async () => {
		over = false;
		await copy(d);
		over = true;
	};
	await until('it stops', () => {
		if (list.fired() > n)
			return true;
		if (over)
			void begin();
		return false;
	}, WAIT_MS);
}

group('copy', null, (test) => {
	sideBySide(test, {
		'the copier dies at each point': () => talking(copierDies),
		'a worker dies': () => talking(workerDies),
		'a worker dies while memory is made': meanwhile('told',
		    ([w]) => signal(w.pid, 'SIGKILL')),
		'a keeper dies while memory is made': meanwhile('made',
		    ([w]) => signal(w.keeper, 'SIGKILL')),
		'two keepers die in the copy': meanwhile('copied', ([a, b]) => {
			assert.ok(signal(a.keepers[0], 'SIGKILL'));
			assert.ok(signal(b.keepers[1], 'SIGKILL'));
		}),
		'the copier stops at its begin': stops('begun',
		    /does not make its memory within 5 s/),
		'the copier stops before it copies': stops('copying',
		    /the memory is not copied within 5 s/),
		'the copier stops when it has copied': stops('copied',
		    /the memory is not copied within 5 s/),
		'the copier stops when it is needed no more': () =>
		    talking(stopsLate),
		'the master dies, memory is made': masterDies(copierStops('made')),
		'the master dies in the copy': masterDies(copierStops('copied')),
		'the new master dies': masterDies(successorStops),
	}, {limit: LONG ? 1800000 : 120000});
});
