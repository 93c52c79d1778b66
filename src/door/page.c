/* The page at "/": says what this is and how to try it. */
#include "door/door.h"

const char page_html[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>chatd</title>\n"
    "<body>\n"
    "<h1>chatd</h1>\n"
    "<p>A WebSocket chat is served here. Try it in this page's console:</p>\n"
    "<pre>const ws = new WebSocket(location.origin.replace(/^http/, 'ws') + "
    "'/ws?user=alice');\n"
    "ws.onmessage = e =&gt; console.log(e.data);\n"
    "ws.onopen = () =&gt; ws.send('hi');</pre>\n"
    "<p>or with <code>npx wscat -c 'ws://HOST:PORT/ws?user=alice'</code>. "
    "Send <code>/help</code> for the commands.</p>\n";
