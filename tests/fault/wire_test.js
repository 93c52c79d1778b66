/*
 * What transports know of connections, such as keys, lies in a memory file that
 * workers alone map, and that is in no core dump. It goes on over kills of all
 * workers, and over upgrades to other sizes and, with LONG=1, to another layout
 * (build/other-layout/lines/chatd).
 */
'use strict';

const path = require('node:path');
const {BUILD, LONG} = require('./builds.js');
process.env.CHATD = path.join(BUILD, 'lines/chatd');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const {group} = require('../system/suite.js');
const {CHATD, Daemon, processChildren, until} =
    require('../system/daemon.js');
const {Person} = require('./crowd.js');
const {LinePerson, XorLinePerson, XorPerson, freePorts, gather, killAll,
    round} = require('./stations.js');
const {backOff} = require('./guests.js');

const OTHER = path.join(BUILD, 'other-layout/lines/chatd');
const FILE = '/memfd:chatd-wire';
const KINDS = [Person, LinePerson, XorPerson, XorLinePerson];

/* A daemon with an address for each pair of stations, and a store. */
async function start(...words) {
	const [port, xorPort, linePort, xorLinePort] = await freePorts(4);
	const d = await Daemon.start({listen: false, port, workers: 2,
	    conf: `listen 127.0.0.1:${port}\n` +
	    `listen 127.0.0.1:${xorPort} ${words[0] ?? 'xor'}\n` +
	    `listen 127.0.0.1:${linePort} lines line\n` +
	    `listen 127.0.0.1:${xorLinePort} ${words[1] ?? 'xor line lines'}\n` +
	    'insecure yes\n'});
	return Object.assign(d, {xorPort, linePort, xorLinePort});
}

/* The mappings of the file that a process has: what smaps says of each. */
function mappings(pid) {
	return fs.readFileSync(`/proc/${pid}/smaps`, 'latin1')
	    .split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
	    .filter((one) => one.includes(FILE));
}

/* Whether it has the file open. */
function opened(pid) {
	return fs.readdirSync(`/proc/${pid}/fd`).some((fd) => {
		try {
			return fs.readlinkSync(`/proc/${pid}/fd/${fd}`)
			    .startsWith(FILE);
		} catch {
			return false;
		}
	});
}

/* Who has what, of all processes: the roles of those that do. */
async function holders(d) {
	const roles = {maps: new Set(), opens: new Set(), none: new Set()};
	const all = await d.json('show', 'processes');
	const known = new Map(all.filter((p) => p.pid !== 0)
	    .map((p) => [p.pid, p.name ?? p.kind ?? p.process]));
	for (const pid of [d.pid, ...processChildren(d.pid)]) {
		const role = pid === d.pid ? 'master' :
		    `${known.get(pid) ?? 'log'}`.replace(/ .*/, '');
		const maps = mappings(pid);
		roles[maps.length > 0 ? 'maps' : 'none'].add(role);
		if (opened(pid))
			roles.opens.add(role);
		for (const one of maps) {
			const flags = /^VmFlags: (.*)$/m.exec(one)[1].split(' ');
			assert.ok(flags.includes('dd'), `dumped: ${flags}`);
			assert.ok(flags.includes('dc'), `kept: ${flags}`);
		}
		assert.ok(maps.length === 0 || maps.length === 2);
	}
	for (const what of Object.keys(roles))
		roles[what] = [...roles[what]].sort().join();
	return roles;
}

/* chatctl upgrade, which succeeds with a copy of the memory. */
async function copied(d, file) {
	const copies = d.stderr.split('memory copied in').length;
	const r = await d.ctl('upgrade', file);
	assert.deepEqual([r.status, r.stderr], [0, ''], d.stderr.slice(-3000));
	await until('the copy is told', () =>
	    d.stderr.split('memory copied in').length === copies + 1);
}

group('what transports know', null, (test) => {
	test('is mapped by workers alone, and goes on', async () => {
		const d = await start();
		const {crowd, speakers} = await gather(d, KINDS, 1, 1);
		const alone = {maps: 'worker', opens: 'master',
		    none: 'keeper,log,master'};
		assert.deepEqual(await holders(d), alone);
		await round(crowd, speakers, 5, () => killAll(d));
		assert.deepEqual(await holders(d), alone);
		const conf = fs.readFileSync(d.conf, 'utf8');
		fs.writeFileSync(d.conf, `${conf}connections 3000\nusers 700\n`);
		await round(crowd, speakers, 5, () => copied(d, CHATD));
		assert.deepEqual(await holders(d), alone);
		for (const file of LONG ? [OTHER, CHATD, OTHER, CHATD] : [])
			await round(crowd, speakers, 5, () => copied(d, file));
		await round(crowd, speakers, 5, () => killAll(d));
		/* a mover gives sockets away, and needs no key for that */
		await backOff(d, [0, 1]);
		await until('movers', async () => (await holders(d)
		    .catch(() => ({}))).none === 'keeper,log,master,mover');
		assert.equal(crowd.broken, undefined);
		await d.stop();
	}, {limit: 90000});

	test('is not there where no transport keeps anything', async () => {
		const d = await start('tcp', 'line lines');
		assert.deepEqual(await holders(d), {maps: '', opens: '',
		    none: 'keeper,log,master,worker'});
		await d.stop();
	});
});
