/*
 * Backends publish over connections that stay while all workers are killed
 * again and again: what was answered stands in the history once, what was not
 * answered at most once. LONG=1 kills more.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const http = require('node:http');
const {group} = require('../system/suite.js');
const {pause, until} = require('../system/daemon.js');

const BACKENDS = 6, KILLS = LONG ? 300 : 15, EVERY_MS = 150;
const ENOUGH_MS = 20000;

/* One request; its JSON, or null if the connection broke. */
function ask(d, agent, method, body) {
	return new Promise((resolve) => {
		const r = http.request({port: d.port, agent, method: 'POST',
		    path: '/api/' + method, headers: {'X-API-Key': 'k'}},
		    (answer) => {
			let text = '';
			answer.on('data', (part) => text += part);
			answer.on('end', () => resolve(JSON.parse(text)));
			answer.on('error', () => resolve(null));
		});
		r.on('error', () => resolve(null));
		r.write(JSON.stringify(body)); /* in chunks */
		r.end();
	});
}

/* Publishes until told to stop; notes what came of each. */
async function backend(d, i, state) {
	const agent = new http.Agent({keepAlive: true, maxSockets: 1});
	for (let k = 0; !state.stop; k++) {
		const data = `${i}-${k}`;
		const answer = await ask(d, agent, 'publish',
		    {channel: 'room', data});
		(answer === null ? state.broken : state.done).add(data);
		if (answer !== null)
			assert.ok(answer.result, JSON.stringify(answer));
		await pause(1); /* the processors are for the others, too */
	}
	agent.destroy();
}

/* All that a channel has. */
async function kept(d) {
	const all = [];
	for (let since = null;;) {
		const {result} = await ask(d, undefined, 'history',
		    {channel: 'room', limit: 1000, since});
		if (result.publications.length === 0)
			return all;
		all.push(...result.publications.map((p) => p.data));
		since = {offset: result.publications.at(-1).offset,
		    epoch: result.epoch};
	}
}

group('killed workers', {workers: 3, conf: `
api-key k
channel "*" {
	subscribe all
	history 100000
}
`}, (test) => {
	test(`${KILLS} kills`, async (d) => {
		const state = {stop: false, done: new Set(), broken: new Set()};
		const all = Array.from({length: BACKENDS}, (_, i) =>
		    backend(d, i, state));
		for (let k = 0; k < KILLS; k++) {
			await pause(EVERY_MS); /* of talk between the kills */
			for (const w of await d.json('show', 'workers'))
				if (w.pid)
					process.kill(w.pid, 'SIGKILL');
		}
		await until('enough is answered', () =>
		    state.done.size > 10 * KILLS, ENOUGH_MS);
		state.stop = true;
		await Promise.all(all);
		const published = await kept(d), once = new Set(published);
		assert.equal(once.size, published.length, 'published twice');
		for (const data of state.done)
			assert.ok(once.has(data), data + ' was answered');
		/* between a publication and its answer is next to no time */
		const unsure = [...state.broken].filter((x) => once.has(x));
		console.log(`${state.done.size} answered, ` +
		    `${state.broken.size} broken, ${unsure.length} of them ` +
		    'published');
		assert.ok(state.broken.size > 0);
		assert.ok(unsure.length <= 1 + state.broken.size / 20);
	}, {limit: LONG ? 300000 : 60000});
});
