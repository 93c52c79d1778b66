/*
 * A room of 5,000, and a client that asks who is there, up to 1,200 times a
 * frame, again and again: what the others of its worker do takes no longer than three
 * times what it took before, or 10 ms more. MEMBERS is the size of the room.
 */
'use strict';

const assert = require('node:assert/strict');
const {Worker, isMainThread, parentPort, workerData} =
    require('node:worker_threads');
const {choose} = require('../fault/builds.js');
choose('release');
const {Line} = require('../system/centrifugo.js');

const MEMBERS = Number(process.env.MEMBERS ?? 5000);
const INNOCENTS = 6, EVERY_MS = 10, SECONDS = 4, TRIES = 3;
const COMMANDS = {presence_stats: 1200, presence: 100}; /* in a frame */

/* One innocent after the other publishes in a room of its own; resolves to the
 * times until the replies, in ms, in order of size. */
async function probe(port, seconds) {
	const all = [], times = [];
	for (let i = 0; i < INNOCENTS; i++) {
		const line = await Line.connected({port}, `?user=innocent${i}`);
		await line.ask('subscribe', {channel: `own${i}`});
		all.push(line);
	}
	const end = performance.now() + seconds * 1000;
	for (let k = 0; performance.now() < end; k++) {
		const i = k % INNOCENTS, begin = performance.now();
		await all[i].ask('publish', {channel: `own${i}`, data: k});
		times.push(performance.now() - begin);
		all[i].pushes = [];
		await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
	}
	for (const line of all)
		line.client.drop();
	return times.sort((a, b) => a - b);
}

if (!isMainThread)
	probe(workerData.port, workerData.seconds)
	    .then((times) => parentPort.postMessage(times));
else
	main();

/* The same in a thread of its own: what this one does must not be measured. */
function measure(d, seconds) {
	return new Promise((resolve, reject) => {
		const thread = new Worker(__filename,
		    {workerData: {port: d.port, seconds}});
		thread.once('error', reject);
		thread.once('message', resolve);
	});
}

/* Asks all the time; resolves to the number of frames when told to stop. */
async function ask(line, what, state) {
	let frames = 0;
	for (; !state.stop; frames++) {
		const from = line.id + 1;
		line.say(...Array.from({length: COMMANDS[what]}, () =>
		    ({id: ++line.id, [what]: {channel: 'big'}})));
		for (let id = from; id <= line.id; id++)
			assert.equal((await line.hear()).id, id);
	}
	return frames;
}

/* The longest turn of the worker so far. */
async function turn(d) {
	return (await d.json('show', 'workers'))[0].turn_max_us;
}

function main() {
	const {group} = require('../system/suite.js');
	const p99 = (times) => times[Math.floor(times.length * 0.99)];
	const told = (times) => `p50 ${times[times.length >> 1].toFixed(2)}, ` +
	    `p99 ${p99(times).toFixed(2)}, worst ${times.at(-1).toFixed(1)} ms`;

	group('a room of many', {workers: 1, conf: 'ping-interval 1h\n' +
	    'queue 64M\n'}, (test) => {
		for (const what of Object.keys(COMMANDS))
			test(what, async (d) => {
				for (let i = 0; i < MEMBERS; i++) {
					const l = await Line.connected(d,
					    `?user=u${i % 1000}`);
					await l.ask('subscribe', {channel: 'big'});
				}
				const line = await Line.connected(d, '?user=many');
				let tries = 0, calm, then;
				do {
					calm = await measure(d, SECONDS);
					const state = {stop: false};
					const asking = ask(line, what, state);
					then = await measure(d, SECONDS);
					state.stop = true;
					const frames = await asking;
					console.log(`     calm ${told(calm)}; ` +
					    `${frames} frames: ${told(then)}; ` +
					    `longest turn ${await turn(d)} us`);
				} while (++tries < TRIES && p99(then) >
				    Math.max(3 * p99(calm), p99(calm) + 10));
				assert.ok(p99(then) <=
				    Math.max(3 * p99(calm), p99(calm) + 10));
			}, {limit: 300000});
	});
}
