/*
 * A worker is taken over by an attacker: what it can do to the memory that it
 * shares with the others does not end the service.
 */
'use strict';

const {choose} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const {group} = require('../system/suite.js');
const {processChildren, processTitle, until} = require('../system/daemon.js');
const {Crowd, talks} = require('./crowd.js');

/* The memory's file as a process has it open, null: it has not. */
function memory(pid) {
	for (const fd of fs.readdirSync(`/proc/${pid}/fd`)) {
		const path = `/proc/${pid}/fd/${fd}`;
		if (fs.readlinkSync(path).startsWith('/memfd:chatd'))
			return path;
	}
	return null;
}

/* Nobody but the master has the file open. */
async function closed(d) {
	const children = await until('workers and keepers', () => {
		const all = processChildren(d.pid);
		return all.length === 8 && all;
	});
	for (const pid of children)
		assert.equal(memory(pid), null, processTitle(pid));
	assert.ok(memory(d.pid));
}

/* Whoever gets hold of it all the same cannot cut it off. */
async function cut(d) {
	const crowd = await Crowd.unbroken(d, 8);
	const fd = fs.openSync(memory(d.pid), 'r+');
	const {size} = fs.fstatSync(fd);
	for (const to of [0, 4096, size + 4096])
		assert.throws(() => fs.ftruncateSync(fd, to), /EPERM/);
	fs.closeSync(fd);
	await talks(crowd, 3);
	await crowd.judgeAll();
	await crowd.leave();
}

group('four workers', {}, (test) => {
	test('workers and keepers have closed the memory\'s file', closed);
	test('the memory cannot be cut off', cut);
	test('nor after an upgrade', async (d) => {
		assert.equal((await d.ctl('upgrade')).status, 0);
		await closed(d);
		await cut(d);
	});
});
