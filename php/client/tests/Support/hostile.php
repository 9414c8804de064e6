<?php

declare(strict_types=1);

/* The process behind HostileServer: hostile.php FILE HTTP2 HOLD_MILLIS STALL_MILLIS EARLY */

[, $file, $http2, $hold, $stall, $early] = $argv;
$script = file_get_contents($file);
$listener = stream_socket_server('tcp://127.0.0.1:0');
$name = stream_socket_get_name($listener, false);
echo substr($name, strrpos($name, ':') + 1), "\n";
fflush(STDOUT);
while (true) {
    $conn = @stream_socket_accept($listener, 300);
    if (false === $conn) {
        continue;
    }
    stream_set_timeout($conn, 2);
    $answer = $script;
    if ('1' === $http2) {
        fwrite($conn, "\0\0\0\4\0\0\0\0\0"); // SETTINGS
        if ('' !== $early) {
            usleep(50_000); // for the request's headers to come
            fwrite($conn, "\0\0\0\4\1\0\0\0\0" . base64_decode($early));
            usleep(1000 * (int) $stall); // the client may send 64 KiB and no more
            foreach ([0, 1] as $stream) {
                fwrite($conn, "\0\0\4\x08\0" . pack('NN', $stream, 16 << 20)); // WINDOW_UPDATE
            }
        }
        // Behind the 24 bytes of the preface come frames; the request ends with the flag END_STREAM on DATA or HEADERS. An answer
        // that overtakes its request would be another test: libcurl 7.88 loses its trailers.
        for ($in = '', $at = 24, $ended = false; !$ended;) {
            if (strlen($in) < $at + 9) {
                if ('' === ($part = (string) fread($conn, 8192))) {
                    break;
                }
                $in .= $part;
                continue;
            }
            $ended = ord($in[$at + 3]) <= 1 && 0 !== (ord($in[$at + 4]) & 1);
            $at += 9 + (ord($in[$at]) << 16 | ord($in[$at + 1]) << 8 | ord($in[$at + 2]));
        }
        // Acknowledges the client's settings. In one write with the rest: two small ones wait for each other for 40 ms.
        $answer = ('' === $early ? "\0\0\0\4\1\0\0\0\0" : '') . $answer;
    } else {
        fread($conn, 8192);
    }
    @fwrite($conn, $answer);
    usleep(1000 * (int) $hold);
    stream_socket_shutdown($conn, STREAM_SHUT_WR);
    while ('' !== (string) @fread($conn, 8192)) {
    }
    fclose($conn);
}
