<?php

declare(strict_types=1);

namespace Switchyard\Bundle\Tests\Profiler;

use Switchyard\Bundle\Tests\Support\Comment;
use Switchyard\Client\RpcException;
use Switchyard\Identity\V1\CreateKeyRequest;
use Switchyard\Identity\V1\IdentityClientInterface;
use Switchyard\Moderation\V1\ModerationClientInterface;
use Switchyard\Moderation\V1\ListRulesRequest;
use Switchyard\Moderation\V1\StreamModerateTextRequest;
use Switchyard\Moderation\V1\TextItem;
use Switchyard\Routing\V1\RouteInquiryRequest;
use Switchyard\Routing\V1\RoutingClientInterface;
use Symfony\Component\DependencyInjection\Attribute\Target;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\Validator\Validator\ValidatorInterface;

/** A page that uses Switchyard in every way that the panel shows. */
final class Controller
{
    public function __construct(
        private readonly ValidatorInterface $validator,
        private readonly ModerationClientInterface $moderation,
        private readonly RoutingClientInterface $routing,
        private readonly IdentityClientInterface $identity,
        #[Target('gone')]
        private readonly ModerationClientInterface $gone,
    ) {
    }

    public function page(): Response
    {
        foreach (['you nincompoop', 'what a lovely <b>day</b>'] as $text) {
            $comment = new Comment();
            $comment->body = $text;
            $this->validator->validate($comment);
        }
        $this->routing->routeInquiry(new RouteInquiryRequest(deployment: 'support', subject: 'laptop', body: 'My laptop does not start any more'));
        $stream = $this->moderation->streamModerateText();
        for ($i = 0; $i < 8; ++$i) {
            $stream->send(new StreamModerateTextRequest('comments', new TextItem(text: "text number $i")));
        }
        $stream->closeSend();
        foreach ($stream as $answer) {
        }
        try {
            $this->gone->listRules(new ListRulesRequest());
        } catch (RpcException) {
        }
        $secret = $this->identity->createKey(new CreateKeyRequest(name: 'page', scopes: ['moderation:decide']))->secret;

        return new Response('<html><body><h1>A page</h1><p id="secret">' . $secret . '</p></body></html>');
    }
}
