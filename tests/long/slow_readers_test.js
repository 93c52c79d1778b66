/*
 * Fifty clients that never read, 10,000 messages a second: memory does not
 * grow after the first minute, and those who read notice nothing.
 * The journal is full by then. SECONDS is how long it goes on (180).
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const {choose} = require('../fault/builds.js');
choose('release');
const {group} = require('../system/suite.js');
const {pause, processChildren} = require('../system/daemon.js');
const {Line} = require('../system/centrifugo.js');

const SLOW = 50, RATE = 10000, TURN_MS = 50;
const SECONDS = Number(process.env.SECONDS ?? 180);

/* Bytes that all processes of the daemon have, shared ones counted once. */
function pss(d) {
	return [d.pid, ...processChildren(d.pid)].reduce((sum, pid) => sum +
	    Number(/^Pss: +(\d+) kB/m.exec(fs.readFileSync(
		`/proc/${pid}/smaps_rollup`, 'latin1'))[1]) * 1024, 0);
}

/* Sends RATE publications a second, many in a frame; resolves at the end. */
async function flood(line, until) {
	const n = RATE * TURN_MS / 1000;
	let id = 100, at = performance.now(), heard = 0;
	while (performance.now() < until) {
		line.say(...Array.from({length: n}, () => ({id: ++id,
		    publish: {channel: 'flood', data: {text: 'x'.repeat(40)}}})));
		for (let k = 0; k < n; k++, heard++)
			assert.ok((await line.hear()).publish);
		at += TURN_MS;
		await pause(Math.max(0, at - performance.now()));
	}
	return heard;
}

for (const policy of ['skip', 'disconnect'])
	group(policy, {workers: 2, conf: `slow-policy ${policy}\n` +
	    'message-size 1M\nping-interval 1h\njournal 16M\n' + `
channel "flood" {
	subscribe all
	publish all
	history 100
	recovery yes
}
`}, (test) => test(`${SLOW} who never read`, async (d) => {
		const begin = performance.now();
		const readers = [], slow = [];
		for (let i = 0; i < SLOW + 4; i++) {
			const l = await Line.connected(d, `?user=u${i}`);
			await l.ask('subscribe', {channel: 'flood'});
			if (i < SLOW)
				l.client.socket.pause();
			(i < SLOW ? slow : readers).push(l);
		}
		const read = readers.map(async (l) => {
			for (let last = 1;; last++) {
				const {pub} = await l.push();
				assert.equal(pub.offset, last);
				if (pub.data === 'end')
					return last - 1;
			}
		});
		const publisher = await Line.connected(d);
		const flooded = flood(publisher, begin + SECONDS * 1000);
		await pause(Math.min(60, SECONDS / 3) * 1000);
		const early = pss(d);
		const total = await flooded;
		await publisher.ask('publish', {channel: 'flood', data: 'end'});
		assert.deepEqual(await Promise.all(read),
		    readers.map(() => total));
		const late = pss(d);
		console.log(`${total} publications, Pss ${early >> 20} MiB, ` +
		    `then ${late >> 20} MiB`);
		assert.ok(late <= early * 1.1, `${early} to ${late}`);
	}, {limit: (SECONDS + 60) * 1000}));
