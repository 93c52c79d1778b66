/*
 * A worker retires, and its successor dies at each kill point that it passes
 * from its first instruction on, alone or together with one of the keepers that
 * have started it: the next successor has everybody.
 */
'use strict';

const {choose} = require('./builds.js');
choose('kill');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Daemon, until} = require('../system/daemon.js');
const {Guests, row, signal, whole} = require('./guests.js');
const {List} = require('./kill_points.js');

const POINTS =
    /^(conn|room|takeover|hub|worker|process)\/(?!lock|publish|deliver)/;
const BURST = 18, BURST_MS = 10000; /* more deaths than 20 are too many */

/* Not more deaths than a slot may have in a while. */
async function rest(deaths) {
	deaths.push(performance.now());
	if (deaths.length >= BURST)
		await until('the slot may die again', () => performance.now() -
		    deaths.at(-BURST) > BURST_MS, 2 * BURST_MS);
}

group('successor', null, (test) => {
	for (const both of [false, true])
		test(both ? 'dies with a keeper' : 'dies',
		    async () => {
			const list = new List();
			const d = await Daemon.start({workers: 2,
			    env: {CHATD_KILL_LIST: list.path}});
			await whole(d);
			const guests = await Guests.come(d, 60);
			const restart = async () => {
				const r = await d.ctl('restart-worker', '0');
				assert.equal(r.status, 0, r.stderr);
			};
			await restart();
			const before = list.passes(POINTS);
			await restart();
			const points = [...list.passes(POINTS)]
			    .filter(([k, n]) => n !== before.get(k))
			    .map(([k]) => k);
			const deaths = [];
			let fired = 0;
			for (const point of points) {
				const w = await row(d, 0), n = list.fired();
				let over = false;
				const answer = restart().finally(() => over = true);
				list.arm(parseInt(point, 10));
				if (both) {
					await until('it dies', () =>
					    over || list.fired() > n, 15000);
					signal(w.keepers[deaths.length % 2], 'SIGKILL');
				}
				await answer;
				list.arm(0, 0);
				fired += list.fired() - n;
				await guests.served(15000);
				await rest(deaths);
			}
			await whole(d);
			console.log(`     ${fired} deaths at ` +
			    `${points.length} points`);
			assert.ok(fired > 5);
			await guests.kept();
			guests.leave();
			await d.stop();
			list.remove();
		}, {limit: 120000});
});
