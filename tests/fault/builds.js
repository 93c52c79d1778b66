/*
 * builds: which chatd a fault test runs. Require it before daemon.js. Not the
 * sanitizers' build, whose handlers would catch the signals that kill.
 * BUILD is the folder with the builds.
 */
'use strict';

const path = require('node:path');

const BUILD = path.resolve(process.env.BUILD ??
    path.join(__dirname, '../../build'));

/* Chooses the release build or that with kill points. */
exports.choose = (variant) => {
	process.env.CHATD = path.join(BUILD, variant === 'kill' ? 'kill' : '',
	    'chatd');
};
exports.BUILD = BUILD;
exports.LONG = process.env.LONG === '1';
