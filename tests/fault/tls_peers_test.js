/*
 * Clients whose TLS others wrote talk while all workers are killed at once: none
 * of them sees an alert or an end, and all hear everything once and in one
 * order. LONG=1 kills more often.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const {chromium} = require('playwright-core');
const {group} = require('../system/suite.js');
const {until} = require('../system/daemon.js');
const {FLAGS, browse, say, shows} = require('../system/page.js');
const {tlsDaemon, tlsStop} = require('../system/tls.js');
const {Person} = require('./crowd.js');
const {gather, killAll} = require('./stations.js');
const {paced, ...peers} = require('./tls_peers.js');

const ROUNDS = LONG ? 100 : 2; /* of two kills each */
const SAID = 8;  /* lines that each hears of its own before and after a kill */

group('peers over TLS', null, (test) => {
	test(`${2 * ROUNDS} deaths of all workers`, async () => {
		const d = await tlsDaemon({workers: 3, conf: 'ping-interval 1h\n'});
		const browser = await chromium.launch(
		    {executablePath: '/usr/bin/chromium', args: FLAGS});
		try {
			const context = await browser.newContext(
			    {ignoreHTTPSErrors: true});
			peers.ChromiumPerson.page = await context.newPage();
			await peers.ChromiumPerson.page.goto(
			    `https://127.0.0.1:${d.tlsPort}/`);
			const {crowd, speakers} = await gather(d,
			    [Person, ...Object.values(peers)], 1, 0);
			speakers.forEach(paced);
			for (let i = 0; i < ROUNDS; i++) {
				crowd.cut();
				crowd.talk(speakers);
				for (const kill of [true, true, false]) {
					const told = speakers.map((p) => p.echoed);
					await until('lines', () => speakers.every(
					    (p, k) => p.echoed >= told[k] + SAID),
					20000).catch((error) => {
						throw new Error(error.message + ': ' +
						    speakers.map((p) => `${p.user} ` +
						    `${p.echoed}/${p.told} ` +
						    `${p.error ?? ''} ` +
						    JSON.stringify(p.closed)));
					});
					if (kill)
						await killAll(d);
				}
				await crowd.judgeAll();
			}
			const updating = speakers.find((p) =>
			    p instanceof peers.OpensslUpdatingPerson);
			assert.ok(updating.updates >= 2 * ROUNDS,
			    `${updating.updates} key updates`);
			for (const p of speakers)
				assert.doesNotMatch(p.said ?? '', /alert|error/i);
			console.log(`     ${crowd.judged} lines, each heard by ` +
			    `${crowd.people.size} clients`);
			await crowd.leave();
		} catch (error) {
			error.message += `\n${d.stderr.slice(-3000)}`;
			throw error;
		} finally {
			await browser.close();
			await tlsStop(d);
		}
	}, {limit: LONG ? 900000 : 90000});

	test('the page in Chromium keeps its WebSocket', () =>
	    browse(async (open) => {
		const d = await tlsDaemon({workers: 3});
		const people = [];
		try {
			const sockets = [];
			for (const name of ['alice', 'bob']) {
				const page = await open(name, d.tlsPort, {
				    scheme: 'https', ignoreHTTPSErrors: true});
				page.on('websocket', (ws) => sockets.push(ws));
				people.push(page);
			}
			const said = [];
			for (let i = 0; i < 2 * ROUNDS; i++) {
				for (const page of people) {
					await say(page, `${said.length}`);
					said.push(`${said.length}`);
					await shows(page, said);
				}
				await killAll(d);
			}
			await say(people[0], 'after it');
			await shows(people[1], [...said, 'after it']);
			assert.deepEqual(sockets, [], 'a WebSocket was opened anew');
		} finally {
			/* before they would look for a daemon that is gone */
			await Promise.all(people.map((page) => page.close()));
			await tlsStop(d);
		}
	}), {limit: LONG ? 900000 : 90000});
});
