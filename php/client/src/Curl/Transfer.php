<?php

declare(strict_types=1);

namespace Switchyard\Client\Curl;

/**
 * Drives one transfer of a multi handle.
 *
 * @internal
 */
final class Transfer
{
    /** How long a transfer may keep the processor busy without moving a byte before it is given up, in nanoseconds. */
    private const LOST_AFTER = 100_000_000;

    /** curl's error number when the transfer has ended, else null. */
    public ?int $errno = null;

    /** Whether libcurl has dropped the server's answer, see LibCurl::losesEarlyErrors(). */
    public bool $lost = false;

    private bool $attached = true;
    private int $spins = 0;
    private int $spinningSince = 0;
    private float $nudge = 0.001;

    /** @param \Closure(\CurlMultiHandle): void $release */
    public function __construct(
        public readonly \CurlHandle $handle,
        private readonly \CurlMultiHandle $multi,
        private readonly Exchange $exchange,
        private readonly LibCurl $curl,
        private readonly \Closure $release,
    ) {
        \curl_multi_add_handle($multi, $handle);
    }

    public function __destruct()
    {
        $this->detach();
    }

    /** Lets curl ask again for bytes to send. */
    public function resume(): void
    {
        if ($this->exchange->paused && null === $this->errno && $this->attached) {
            $this->exchange->paused = false;
            \curl_pause($this->handle, \CURLPAUSE_CONT);
        }
    }

    /** Moves what can be moved; waits up to a number of seconds when that is nothing. */
    public function pump(float $wait): void
    {
        if (null !== $this->errno || !$this->attached) {
            return;
        }
        $before = $this->exchange->progress;
        \curl_multi_exec($this->multi, $running);
        while (false !== $info = \curl_multi_info_read($this->multi)) {
            $this->errno = $info['result'];
        }
        if (null !== $this->errno) {
            return;
        }
        if ($before !== $this->exchange->progress) {
            // Waiting now could miss what has just come, and stall for seconds.
            $this->spins = 0;
            $this->nudge = 0.001;

            return;
        }
        if ($wait > 0) {
            $this->wait($wait);
        }
    }

    /** Ends the transfer; the server is told unless it has ended already. */
    public function detach(): void
    {
        if ($this->attached) {
            $this->attached = false;
            \curl_multi_remove_handle($this->multi, $this->handle);
            ($this->release)($this->multi);
        }
    }

    private function wait(float $seconds): void
    {
        $nudges = $this->exchange->paused && $this->curl->forgetsBytesBeforePause();
        if ($nudges) {
            $seconds = \min($seconds, $this->nudge);
            $this->nudge = \min(0.5, $this->nudge * 2);
        }
        $begin = (int) \hrtime(true);
        $ready = \curl_multi_select($this->multi, $seconds);
        $waited = (int) \hrtime(true) - $begin;
        if ($nudges && 0 === $ready) {
            \curl_pause($this->handle, \CURLPAUSE_CONT);
        }
        if ($waited > 500_000) {
            $this->spins = 0;
        } else {
            $this->guard($begin);
        }
    }

    /**
     * Notices that curl does not wait while nothing moves. There is nothing to wait for yet, as while a name is resolved; or the server
     * does not read for a while, and this libcurl asks whether it may write and not whether the window is open; or it has lost the end
     * of the call, before its first message, and would keep the processor busy until the deadline.
     */
    private function guard(int $now): void
    {
        if (1 === ++$this->spins) {
            $this->spinningSince = $now;
        }
        if ($this->spins < 50) {
            return;
        }
        $early = !$this->exchange->bodySeen && 0 === $this->exchange->unsent();
        if ($early && $this->curl->losesEarlyErrors() && $now - $this->spinningSince > self::LOST_AFTER && \curl_getinfo($this->handle, \CURLINFO_PRETRANSFER_TIME_T) > 0) {
            $this->lost = true;
        }
        \usleep(1000);
    }
}
