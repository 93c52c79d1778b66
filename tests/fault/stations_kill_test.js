/*
 * Lines over TCP, WebSockets over records and lines over records: the worker
 * dies at each kill point that it passes while clients of all of them speak,
 * say what takes several records, are sent away, or come. Nobody else is
 * disconnected, all hear everything once and in one order, and no record is
 * sealed twice with other bytes. Who comes just then may have to come again.
 * LONG=1 dies at more of the passes.
 */
'use strict';

const path = require('node:path');
const {BUILD, LONG} = require('./builds.js');
process.env.CHATD = path.join(BUILD, 'kill/lines/chatd');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Daemon, pause, until} = require('../system/daemon.js');
const {Crowd, Person, workerState} = require('./crowd.js');
const {List} = require('./kill_points.js');
const {LinePerson, XorLinePerson, XorPerson, freePorts} = require('./stations.js');

const DEATHS = LONG ? 2000 : 45; /* of one act, at most */
const PASSES = 4;       /* of one point in one act, at most */
const BETWEEN_MS = 400; /* 20 deaths in 10 s are too many */
const KINDS = [Person, LinePerson, XorPerson, XorLinePerson];
const FILES = new RegExp('^(tests/doors/|(door|conn|room|takeover)/' +
    '|worker/(begin|accept|request)|' +
    'hub/(output|input|slot|journal|presence)[._])');

/* A crowd of one of each kind. */
async function gather(list) {
	const [port, xorPort, linePort, xorLinePort] = await freePorts(4);
	const d = await Daemon.start({listen: false, port, workers: 1,
	    env: {CHATD_KILL_LIST: list.path},
	    conf: `listen 127.0.0.1:${port}\n` +
	    `listen 127.0.0.1:${xorPort} xor\n` +
	    `listen 127.0.0.1:${linePort} lines line\n` +
	    `listen 127.0.0.1:${xorLinePort} xor lines line\ninsecure yes\n`});
	Object.assign(d, {xorPort, linePort, xorLinePort});
	const crowd = Object.assign(new Crowd(d), {list});
	for (const Kind of KINDS)
		await come(crowd, Kind);
	return crowd;
}

/* One comes, again if need be. */
async function come(crowd, Kind) {
	const p = new Kind(crowd, `u${crowd.devices}`);
	for (let i = 0; ; i++) {
		assert.ok(i < 3, `${Kind.name} cannot come: ${p.error}`);
		crowd.people.add(p);
		p.closed = null;
		if (await Promise.race([p.open(), pause(3000)]))
			break;
		crowd.people.delete(p);
	}
	/* the name of a line door is heard of once it has said something */
	await speak(crowd, [p], '');
	return p;
}

/* Each says something; all who are here hear that once, in one order. */
async function speak(crowd, people, pad) {
	const all = [...crowd.people];
	for (const p of all)
		p.heard = [];
	for (const p of people)
		p.say(`text${pad}`);
	await until('all have heard all', () => all.every((p) => p.closed ||
	    p.heard.length >= people.length)).catch((error) => {
		throw new Error(`${error.message}: ` + all.map((p) =>
		    `${p.constructor.name} ${p.heard.length}`).join());
	});
	for (const p of all) {
		assert.equal(p.closed, null, `${p.constructor.name} was closed: ` +
		    `${p.error ?? p.socket?.errored ?? ''}`);
		assert.deepEqual(p.heard, all[0].heard, p.constructor.name);
	}
	assert.deepEqual([...all[0].heard].sort(),
	    people.map((p) => `${p.user} says: text${pad}`).sort());
}

/* The newest of a kind is sent away, and told why. */
async function kick(crowd, Kind) {
	const p = [...crowd.people].findLast((one) =>
	    one.constructor === Kind);
	const fired = crowd.list.fired();
	assert.equal((await crowd.d.ctl('kick', p.user)).status, 0);
	await until('it is closed', () => p.closed !== null);
	if (p.closed.code !== undefined)
		assert.equal(p.closed.code, 4001);
	else
		assert.ok(p.answers.includes('* closed 4001 kicked'),
		    p.answers.join());
	/* a worker that dies once the client has ended does not say it */
	if ((Kind === XorPerson || Kind === XorLinePerson) &&
	    crowd.list.fired() === fired)
		assert.ok(p.socket.last, 'no last record');
}

/* An act, and what is done after it. */
const ACTS = {
	'all speak': [(crowd) => speak(crowd, [...crowd.people], '')],
	'texts of several records': [(crowd) => speak(crowd,
	    [...crowd.people], ' x'.repeat(1500))],
	'an end in lines': [(crowd) => kick(crowd, LinePerson),
	    (crowd) => come(crowd, LinePerson)],
	'an end over records': [(crowd) => kick(crowd, XorPerson),
	    (crowd) => come(crowd, XorPerson)],
	'lines over records begin': [(crowd) => come(crowd, XorLinePerson),
	    (crowd) => kick(crowd, XorLinePerson)],
	'lines begin': [(crowd) => come(crowd, LinePerson),
	    (crowd) => kick(crowd, LinePerson)],
};

/* Which passes of which points belong to an act. */
function passes(before, after) {
	const all = [];
	for (const [point, n] of after) {
		const times = Number(n - (before.get(point) ?? 0n));
		for (let k = 1; k <= Math.min(times, PASSES); k++)
			all.push([point, k]);
	}
	/* the first pass of each first */
	return all.sort((a, b) => a[1] - b[1]).slice(0, DEATHS);
}

const stations = new Set(); /* of the test build, in which a worker died */

async function die(title, [act, after = () => {}]) {
	const list = new List(), bad = [];
	const crowd = await gather(list), {d} = crowd;
	let deaths = 0;
	try {
		await act(crowd); /* what is made once */
		await after(crowd);
		const before = list.passes(FILES);
		await act(crowd);
		const all = passes(before, list.passes(FILES));
		await after(crowd);
		for (const [point, nth] of all) {
			const fired = list.fired();
			list.arm(parseInt(point, 10), nth);
			try {
				await act(crowd);
				list.arm(0, 0);
				await after(crowd);
			} catch (error) {
				bad.push(`${point}, ${nth}: ${error.message}`);
				break; /* what follows from it is no news */
			}
			await until('worker 0 runs', async () =>
			    (await workerState(d, 0)).state === 'running');
			deaths += list.fired() - fired;
			await pause(list.fired() > fired ? BETWEEN_MS : 0);
		}
		console.log(`     ${title}: ${deaths} deaths at ${all.length} ` +
		    `passes, ${new Set(all.map(([p]) => p)).size} points`);
		assert.deepEqual(bad, []);
		assert.ok(deaths > 10);
		for (const [point] of all)
			stations.add(/tests\/doors\/\w+/.exec(point)?.[0]);
		await crowd.leave();
		await d.clean();
		await d.stop();
	} finally {
		await d.kill();
		list.remove();
	}
}

/* They wait more than they work: all run at the same time. */
group('stations', null, (test) => {
	const running = new Map();

	for (const title of Object.keys(ACTS))
		test(`the worker dies at: ${title}`, () => {
			if (running.size === 0)
				for (const [name, how] of Object.entries(ACTS)) {
					const end = die(name, how);
					end.catch(() => {});
					running.set(name, end);
				}
			return Promise.allSettled([...running.values()])
			    .then(() => running.get(title));
		}, {limit: LONG ? 600000 : 90000});
	test('it died in the stations of the test build, too', () => {
		assert.ok(stations.has('tests/doors/line_door'));
		assert.ok(stations.has('tests/doors/xor_transport'));
	});
});
