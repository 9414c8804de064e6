<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

use Switchyard\Client\Grpc\Frames;
use Switchyard\Client\Grpc\Head;

/**
 * What curl's callbacks fill and empty while a stream runs. It knows no handle, so that nothing refers to itself in a circle and a
 * stream that is dropped ends at once.
 *
 * @internal
 */
final class Exchange
{
    public readonly Head $head;
    public readonly Frames $frames;

    /** Moves with every byte in either direction. */
    public int $progress = 0;

    /** Whether curl waits for curl_pause() before it asks for more to send. */
    public bool $paused = false;

    public bool $closed = false;
    public bool $bodySeen = false;

    private string $out = '';
    private int $at = 0;

    public function __construct(int $maxReceiveBytes)
    {
        $this->head = new Head();
        $this->frames = new Frames($maxReceiveBytes);
    }

    public function queue(string $bytes): void
    {
        $this->out = 0 === $this->at ? $this->out . $bytes : \substr($this->out, $this->at) . $bytes;
        $this->at = 0;
    }

    /** Bytes that curl has not taken yet. */
    public function unsent(): int
    {
        return \strlen($this->out) - $this->at;
    }

    /**
     * The callbacks.
     *
     * @param bool $upload whether messages are sent one by one
     *
     * @return array<int, mixed> curl options
     */
    public function options(bool $upload): array
    {
        $options = [
            \CURLOPT_HEADERFUNCTION => function (\CurlHandle $_, string $line): int {
                ++$this->progress;
                $this->head->line($line);

                return \strlen($line);
            },
            \CURLOPT_WRITEFUNCTION => function (\CurlHandle $_, string $data): int {
                ++$this->progress;
                $this->bodySeen = true;
                if (200 === $this->head->http && $this->head->isGrpc()) { // the page of a proxy is not kept
                    $this->frames->push($data);
                }

                return \strlen($data);
            },
        ];
        if ($upload) {
            $options[\CURLOPT_READFUNCTION] = fn (\CurlHandle $_, mixed $stream, int $length): string|int => $this->read($length);
        }

        return $options;
    }

    private function read(int $length): string|int
    {
        $left = \strlen($this->out) - $this->at;
        if ($left > 0) {
            ++$this->progress;
            $chunk = \substr($this->out, $this->at, $length);
            $this->at += \strlen($chunk);
            if (\strlen($chunk) === $left) {
                $this->out = '';
                $this->at = 0;
            }

            return $chunk;
        }
        if ($this->closed) {
            ++$this->progress;

            return '';
        }
        $this->paused = true;

        return \CURL_READFUNC_PAUSE;
    }
}
