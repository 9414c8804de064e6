<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

use Switchyard\Client\CallOptions;
use Switchyard\Client\Compression;
use Switchyard\Client\Grpc\BrokenFrame;
use Switchyard\Client\Grpc\Deadline;
use Switchyard\Client\Grpc\Frames;
use Switchyard\Client\Grpc\Head;
use Switchyard\Client\Grpc\Outcome;
use Switchyard\Client\Message\DecodeException;
use Switchyard\Client\Message\Message;
use Switchyard\Client\MethodDescriptor;
use Switchyard\Client\RpcException;
use Switchyard\Client\StatusCode;

/**
 * Unary calls over curl_exec(), which needs half the time of the multi interface. One handle serves all calls and keeps its connection.
 *
 * @internal
 */
final class Unary
{
    private ?\CurlHandle $handle = null;
    private Head $head;
    private string $body = '';

    /** Whether a plaintext connection has been made, for versions of libcurl that cannot reuse one by prior knowledge. */
    private bool $warm = false;

    public function __construct(
        private readonly Endpoint $endpoint,
        private readonly Settings $settings,
        private readonly LibCurl $curl,
    ) {
    }

    /** @throws RpcException */
    public function call(MethodDescriptor $method, Message $request, CallOptions $options): Message
    {
        $compression = Request::compression($options, $this->settings->compression);
        $frame = Request::frame($request, $compression, $this->settings->maxSendBytes, $method);
        $deadline = Deadline::in($options->timeoutMillis ?? $method->timeoutMillis ?? $this->settings->timeoutMillis);
        $handle = $this->handle ??= $this->create();
        \curl_setopt_array($handle, [
            \CURLOPT_URL => $this->endpoint->base . $method->path,
            \CURLOPT_POSTFIELDS => $frame,
            \CURLOPT_HTTPHEADER => Request::headers($options, $compression, $deadline),
        ]);
        $errno = $this->send($handle, $method->idempotent, $deadline);
        $head = $this->head;
        $body = $this->body;
        $this->body = '';
        if (null !== $options->response) {
            ++$options->response->attempts;
            $head->export($options->response, '' === $body);
        }
        if (0 !== $errno && !Outcome::known($head, '' === $body)) {
            throw $this->failure($errno, $handle, $head, $body, $method, $deadline);
        }
        if (null !== $failure = Outcome::of($head, $method, '' === $body)) {
            throw $failure;
        }

        return $this->message($head, $body, $method);
    }

    /**
     * Why the server refuses a stream at its very beginning, asked with a stream that ends before its first message: an answer that
     * libcurl 7.88 does not lose. Only what does not depend on messages is returned.
     */
    public function refusal(MethodDescriptor $method, CallOptions $options): ?RpcException
    {
        $deadline = Deadline::in(1000);
        $handle = $this->handle ??= $this->create();
        \curl_setopt_array($handle, [
            \CURLOPT_URL => $this->endpoint->base . $method->path,
            \CURLOPT_POSTFIELDS => '',
            \CURLOPT_HTTPHEADER => Request::headers($options, Compression::NONE, $deadline),
        ]);
        $errno = $this->send($handle, false, $deadline);
        $noBody = '' === $this->body;
        $this->body = '';
        $failure = 0 === $errno || Outcome::known($this->head, $noBody) ? Outcome::of($this->head, $method, $noBody) : null;

        return match ($failure?->error->code) {
            StatusCode::UNAUTHENTICATED, StatusCode::PERMISSION_DENIED, StatusCode::RESOURCE_EXHAUSTED,
            StatusCode::UNIMPLEMENTED, StatusCode::UNAVAILABLE => $failure,
            default => null,
        };
    }

    private function create(): \CurlHandle
    {
        $handle = Handle::create($this->endpoint, $this->settings, $this->curl);
        // The closures must not hold $this: the cycle would keep connections open until the garbage collector runs.
        $self = \WeakReference::create($this);
        $limit = $this->settings->maxReceiveBytes + 5;
        \curl_setopt_array($handle, [
            \CURLOPT_HEADERFUNCTION => static function (\CurlHandle $_, string $line) use ($self): int {
                $self->get()?->head->line($line);

                return \strlen($line);
            },
            \CURLOPT_WRITEFUNCTION => static function (\CurlHandle $_, string $data) use ($self, $limit): int {
                $unary = $self->get();
                $unary->body .= $data;

                return \strlen($unary->body) > $limit ? -1 : \strlen($data);
            },
        ]);

        return $handle;
    }

    /** Sends what the handle was given; returns curl's error number. */
    private function send(\CurlHandle $handle, bool $idempotent, Deadline $deadline): int
    {
        if (null === $this->endpoint->tls && $this->curl->breaksPriorKnowledgeReuse()) {
            return $this->sendPlaintextOldCurl($handle, $idempotent, $deadline);
        }
        $errno = $this->exec($handle, $deadline);
        $reused = 0 === \curl_getinfo($handle, \CURLINFO_NUM_CONNECTS);
        if ($idempotent && $reused && Errors::stale($errno) && 0 === $this->head->http && !$deadline->passed()) {
            // A kept connection whose server has gone without a word is found out only by using it.
            \curl_setopt($handle, \CURLOPT_FRESH_CONNECT, true);
            $errno = $this->exec($handle, $deadline);
            \curl_setopt($handle, \CURLOPT_FRESH_CONNECT, false);
        }

        return $errno;
    }

    /**
     * libcurl 7.88 reuses a plaintext HTTP/2 connection only when it is asked for "HTTP/2 by upgrade". Should it have to make a new
     * connection, that is HTTP/1.1, which a gRPC server refuses at once; the call is then sent again by prior knowledge. Since a proxy
     * might have understood it, only calls that may be repeated take that way.
     */
    private function sendPlaintextOldCurl(\CurlHandle $handle, bool $idempotent, Deadline $deadline): int
    {
        if ($this->warm && $idempotent) {
            \curl_setopt_array($handle, [\CURLOPT_HTTP_VERSION => \CURL_HTTP_VERSION_2_0, \CURLOPT_FRESH_CONNECT => false]);
            $errno = $this->exec($handle, $deadline);
            $reused = 0 === \curl_getinfo($handle, \CURLINFO_NUM_CONNECTS);
            if ($reused && (!Errors::stale($errno) || 0 !== $this->head->http) || $deadline->passed()) {
                return $errno;
            }
        }
        \curl_setopt_array($handle, [\CURLOPT_HTTP_VERSION => \CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE, \CURLOPT_FRESH_CONNECT => true]);
        $errno = $this->exec($handle, $deadline);
        $this->warm = 0 === $errno;

        return $errno;
    }

    private function exec(\CurlHandle $handle, Deadline $deadline): int
    {
        $this->head = new Head();
        $this->body = '';
        \curl_setopt($handle, \CURLOPT_TIMEOUT_MS, $deadline->leftMillis());
        \curl_exec($handle);

        return \curl_errno($handle);
    }

    private function failure(int $errno, \CurlHandle $handle, Head $head, string $body, MethodDescriptor $method, Deadline $deadline): RpcException
    {
        if (200 === $head->http && $head->isGrpc() && '' !== $body) {
            try {
                $this->message($head, $body, $method); // a message that is refused for its size ended the transfer
            } catch (RpcException $e) {
                if (23 === $errno || StatusCode::RESOURCE_EXHAUSTED === $e->error->code) {
                    return $e;
                }
            }
        }
        if ($head->complete && (200 !== $head->http || !$head->isGrpc())) {
            return Outcome::of($head, $method, '' === $body) ?? Outcome::protocol(StatusCode::INTERNAL, 'response ended without a status');
        }
        $late = $deadline->passed() || 28 === $errno && \curl_getinfo($handle, \CURLINFO_CONNECT_TIME_T) > 0;

        return Errors::of($errno, \curl_error($handle), $handle, $this->endpoint, $method, $late);
    }

    private function message(Head $head, string $body, MethodDescriptor $method): Message
    {
        $frames = new Frames($this->settings->maxReceiveBytes);
        $frames->push($body);
        try {
            $message = $frames->next($head->header('grpc-encoding'));
            if (null === $message) {
                throw '' === $body
                    ? Outcome::protocol(StatusCode::UNIMPLEMENTED, 'response has no message')
                    : Outcome::protocol(StatusCode::INTERNAL, 'response message is cut off');
            }
            if ($frames->partial()) {
                throw Outcome::protocol(StatusCode::UNIMPLEMENTED, 'response has more than one message');
            }

            return $method->response::decode($message);
        } catch (BrokenFrame $e) {
            throw Outcome::protocol($e->status, $e->getMessage());
        } catch (DecodeException $e) {
            throw Outcome::protocol(StatusCode::INTERNAL, 'response cannot be read: ' . $e->getMessage(), $e);
        }
    }
}
