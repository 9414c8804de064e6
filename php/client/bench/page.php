<?php

declare(strict_types=1);

/* What PHP-FPM is asked for: nothing, one plain curl_exec() with a body encoded before, or one call of php/client. MODE says which. */

switch ($_SERVER['MODE']) {
    case 'floor':
        $handle = curl_init('http://localhost/switchyard.moderation.v1.ModerationService/ModerateText');
        curl_setopt_array($handle, [
            CURLOPT_POSTFIELDS => (string) file_get_contents($_SERVER['FRAME']),
            CURLOPT_HTTPHEADER => ['content-type: application/grpc', 'te: trailers', 'Expect:', 'Accept:', 'authorization: Bearer ' . $_SERVER['KEY']],
            CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_UNIX_SOCKET_PATH => substr($_SERVER['DSN'], 7),
        ]);
        echo strlen((string) curl_exec($handle)) > 100 ? 'ok' : 'failed';
        break;
    case 'rpc':
    case 'memory':
        $before = memory_get_usage();
        require __DIR__ . '/common.php';
        autoload();
        $client = new Switchyard\Moderation\V1\ModerationClient(Switchyard\Client\Connection::open($_SERVER['DSN'], $_SERVER['KEY']));
        $answer = $client->moderateText(request());
        $added = memory_get_peak_usage() - $before;
        echo null === $answer->decision ? 'failed' : ('memory' === $_SERVER['MODE'] ? (string) $added : 'ok');
        break;
    default:
        echo 'ok';
}
