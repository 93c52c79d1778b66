/*
 * Workers are killed under clients of Centrifugo's SDK that send several
 * commands a frame: nobody is disconnected, every command is answered once,
 * everybody hears everything once and in order. LONG=1 kills more.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {pause, until} = require('../system/daemon.js');
const {sdk, sdkLeave, subscribed} = require('../system/centrifugo.js');

const CLIENTS = 8, KILLS = LONG ? 300 : 20, EVERY_MS = 150;

/* A client that notes what it hears and what befalls it. */
async function person(d, i) {
	const client = sdk(d, `?user=u${i}`);
	const p = {client, odd: [], whispers: 0, said: 0, wrong: 0};
	await client.ready(5000);
	client.on('connecting', (c) => p.odd.push(`${c.code} ${c.reason}`));
	client.on('publication', (m) => {
		if (m.offset !== ++p.whispers)
			p.wrong++;
	});
	p.sub = await subscribed(client, 'room');
	for (const event of ['subscribing', 'leave', 'error'])
		p.sub.on(event, (c) => p.odd.push(`${event} ${c.code}`));
	return p;
}

/* Talks until told to stop: each frame has three publications and a private
 * message to the next one. */
async function talk(people, i, state) {
	const {client, sub} = people[i], to = `u${(i + 1) % people.length}`;
	for (let k = 0; !state.stop; k++) {
		client.startBatching();
		const all = [0, 1, 2].map((n) => sub.publish({i, k, n}));
		all.push(client.rpc('message', {to, data: k}));
		client.stopBatching();
		await Promise.all(all);
		people[i].said++;
		await pause(2); /* the processors are for the others, too */
	}
}

group('killed workers', {workers: 3, conf: `
channel "*" {
	subscribe all
	publish all
	history 1000
	recovery yes
	presence yes
	join-leave yes
}
`}, (test) => {
	test(`${KILLS} kills`, async (d) => {
		const people = [];
		for (let i = 0; i < CLIENTS; i++)
			people.push(await person(d, i));
		const state = {stop: false};
		const talks = people.map((_, i) => talk(people, i, state));
		for (let k = 0; k < KILLS; k++) {
			await pause(EVERY_MS); /* of talk between the kills */
			const worker = (await d.json('show', 'workers'))[k % 3];
			if (worker.pid)
				process.kill(worker.pid, 'SIGKILL');
		}
		await pause(EVERY_MS);
		state.stop = true;
		await Promise.all(talks);
		const said = people.reduce((n, p) => n + p.said, 0);
		await until('all heard', () => people.every((p) =>
		    p.sub.heard.length >= 3 * said));
		for (const [i, p] of people.entries()) {
			assert.deepEqual(p.odd, []);
			assert.equal(p.sub.heard.length, 3 * said);
			assert.ok(p.sub.heard.every((m, k) => m.offset === k + 1));
			assert.equal(p.whispers,
			    people[(i + CLIENTS - 1) % CLIENTS].said);
			assert.equal(p.wrong, 0);
		}
		const {clients} = await people[0].sub.presence();
		assert.equal(Object.keys(clients).length, CLIENTS);
		sdkLeave();
	}, {limit: LONG ? 300000 : 60000});
});
