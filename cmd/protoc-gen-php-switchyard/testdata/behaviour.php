<?php

declare(strict_types=1);

// What the generated code promises beyond carrying values, one block per promise. Prints "ok"
// when all hold. Arguments: the directory of the runtime, then directories of generated code.

\error_reporting(\E_ALL);
\set_error_handler(static function (int $level, string $message, string $file, int $line): never {
    throw new ErrorException($message, 0, $level, $file, $line);
});
[, $runtime] = $argv;
$generated = \array_slice($argv, 2);
\spl_autoload_register(static function (string $class) use ($runtime, $generated): void {
    $file = \str_starts_with($class, 'Switchyard\Client\\') ? $runtime . '/' . \strtr(\substr($class, 18), '\\', '/') . '.php' : null;
    foreach (null === $file ? $generated : [] as $dir) {
        $file = $dir . '/' . \strtr($class, '\\', '/') . '.php';
        if (\is_file($file)) {
            break;
        }
    }
    if (\is_file((string) $file)) {
        require $file;
    }
});

use Switchyard\Client\CallOptions;
use Switchyard\Client\Json\JsonOptions;
use Switchyard\Client\Message\DecodeException;
use Switchyard\Client\Message\EncodeException;
use Switchyard\Client\Message\TypeRegistry;
use Switchyard\Client\RpcError;
use Switchyard\Client\RpcException;
use Switchyard\Client\StatusCode;
use Switchyard\Client\WellKnown;
use Test\Scalars\V1 as Scalars;
use Test\Service\V1 as Service;
use Test\Shapes\V1 as Shapes;
use Test\Wellknown\V1 as Known;

function same(mixed $want, mixed $got): void
{
    if ($want !== $got) {
        throw new Exception(\sprintf("want %s\n got %s", \var_export($want, true), \var_export($got, true)));
    }
}

function fails(string $class, string $text, callable $do): void
{
    try {
        $do();
    } catch (Throwable $e) {
        if ($e instanceof $class && \str_contains($e->getMessage(), $text)) {
            return;
        }
        throw new Exception("want $class with \"$text\", got " . $e::class . ': ' . $e->getMessage(), 0, $e);
    }
    throw new Exception("want $class with \"$text\", nothing was thrown");
}

// A singular message that comes twice is merged.
$twice = (new Shapes\Tree(left: new Shapes\Tree(label: 'a', children: [new Shapes\Tree(label: 'x')])))->encode()
    . (new Shapes\Tree(left: new Shapes\Tree(label: 'b', children: [new Shapes\Tree(label: 'y')])))->encode();
$left = Shapes\Tree::decode($twice)->left;
same('b', $left->label);
same(['x', 'y'], \array_map(static fn (Shapes\Tree $t): string => $t->label, $left->children));

// Of a oneof the last member counts; the same message member merges, another one replaces.
$bytes = (new Shapes\Tree(text: 'gone'))->encode() . (new Shapes\Tree(sub: new Shapes\Tree(label: 's')))->encode();
same('sub', Shapes\Tree::decode($bytes)->whichContent());
same(null, Shapes\Tree::decode($bytes)->text);
$bytes .= (new Shapes\Tree(sub: new Shapes\Tree(yes: true)))->encode();
same(['s', true], [Shapes\Tree::decode($bytes)->sub->label, Shapes\Tree::decode($bytes)->sub->yes]);
$bytes .= (new Shapes\Tree(kind: Shapes\Tree\Leaf\Kind::NEEDLE))->encode();
same(Shapes\Tree\Leaf\Kind::NEEDLE, Shapes\Tree::decode($bytes)->contentValue());
same(null, (new Shapes\Tree())->whichContent());
fails(InvalidArgumentException::class, 'at most one of', static fn () => new Shapes\Tree(text: 'a', raw: 'b'));

// Unknown fields come back unchanged, also through a copy; unknown enum numbers stay numbers.
$newer = "\xc2\x3e\x03abc" . "\x9b\x06\x08\x01\x9c\x06";
same($newer, Shapes\Tree::decode($newer)->encode());
same("\x0a\x01t" . $newer, Shapes\Tree::decode($newer)->with(label: 't')->encode());
same(77, Scalars\Singular::decode((new Scalars\Singular(colorValue: 77))->encode())->colorValue);
same('{"colorValue":77}', (new Scalars\Singular(colorValue: 77))->toJson());

// Presence: a set zero is sent, an absent field is not; false and '' stay distinguishable from absent.
same('', (new Scalars\Singular(int32Value: 0, stringValue: ''))->encode());
$zero = Scalars\Optional::decode((new Scalars\Optional(int32Value: 0, stringValue: '', boolValue: false))->encode());
same([0, '', false, null], [$zero->int32Value, $zero->stringValue, $zero->boolValue, $zero->int64Value]);

// Nesting: 100 levels are read, 101 are refused, also in groups, lists and JSON; writing has no limit.
$nest = static function (int $levels): Shapes\Tree {
    $tree = new Shapes\Tree();
    for ($i = 0; $i < $levels; ++$i) {
        $tree = new Shapes\Tree(left: $tree);
    }

    return $tree;
};
Shapes\Tree::decode($nest(100)->encode());
Shapes\Tree::fromJson($nest(100)->toJson());
fails(DecodeException::class, 'nested deeper than 100', static fn () => Shapes\Tree::decode($nest(101)->encode()));
fails(DecodeException::class, '', static fn () => Shapes\Tree::fromJson($nest(101)->toJson()));
fails(DecodeException::class, '', static fn () => Shapes\Tree::fromJson(\str_repeat('{"left":', 100000)));
fails(DecodeException::class, 'nested deeper', static fn () => Shapes\Tree::decode(\str_repeat("\x9b\x06", 100000)));
$list = new WellKnown\Value(1.0);
for ($i = 0; $i < 200; ++$i) {
    $list = new WellKnown\Value(new WellKnown\ListValue([$list]));
}
fails(DecodeException::class, 'nested deeper', static fn () => WellKnown\Value::decode($list->encode()));

// A merge repeated at every level costs no more than its bytes (reading twice per level would be 2^90).
$bytes = '';
for ($i = 0; $i < 90; ++$i) {
    $n = \strlen($bytes);
    $length = $n < 128 ? \chr($n) : \chr($n & 0x7F | 0x80) . \chr($n >> 7);
    $bytes = "\x12" . $length . $bytes . "\x12\x00";
}
$started = \hrtime(true);
Shapes\Tree::decode($bytes);
Shapes\Tree::decode(\str_repeat("\x12\x02\x0a\x00", 100000));
same(true, \hrtime(true) - $started < 2e9);

// Strings are UTF-8 both ways; bytes are anything.
fails(DecodeException::class, 'test.shapes.v1.Tree.label: not valid UTF-8', static fn () => Shapes\Tree::decode("\x0a\x01\xff"));
fails(EncodeException::class, 'test.shapes.v1.Tree.label: not valid UTF-8', static fn () => (new Shapes\Tree(label: "\xff"))->encode());
fails(EncodeException::class, 'not valid UTF-8', static fn () => (new Shapes\Tree(label: "\xff"))->toJson());
fails(EncodeException::class, 'not valid UTF-8', static fn () => (new Scalars\Keys(stringKey: ["\xff" => '']))->encode());
same("\xff\x00", Shapes\Tree::decode((new Shapes\Tree(raw: "\xff\x00"))->encode())->raw);

// Numbers outside their type are refused, not cut; uint64 above PHP_INT_MAX is the negative int.
foreach (['int32Value' => 0x80000000, 'sint32Value' => -0x80000001, 'uint32Value' => -1, 'fixed32Value' => 0x100000000, 'sfixed32Value' => 0x80000000] as $name => $v) {
    fails(EncodeException::class, 'does not fit', static fn () => (new Scalars\Singular(...[$name => $v]))->encode());
}
same('{"uint64Value":"18446744073709551615"}', (new Scalars\Singular(uint64Value: -1))->toJson());
same(-1, Scalars\Singular::fromJson('{"uint64Value":"18446744073709551615"}')->uint64Value);
same(\PHP_INT_MIN, Scalars\Singular::fromJson('{"uint64Value":"9223372036854775808"}')->uint64Value);
fails(DecodeException::class, '64-bit', static fn () => Scalars\Singular::fromJson('{"uint64Value":"18446744073709551616"}'));
fails(DecodeException::class, '64-bit', static fn () => Scalars\Singular::fromJson('{"int64Value":"9223372036854775808"}'));

// JSON: both spellings, numbers as strings and strings as numbers, null is absence, everything else an error.
same('v', Shapes\Wide::fromJson('{"k2048":"v"}')->k2048);
same(5, Scalars\Singular::fromJson('{"int32_value":5}')->int32Value);
same(5, Scalars\Singular::fromJson('{"int32Value":"5"}')->int32Value);
same(100000, Scalars\Singular::fromJson('{"int32Value":1e5}')->int32Value);
same(0, Scalars\Singular::fromJson('{"int32Value":null}')->int32Value);
same('n', Shapes\Old::fromJson('{"newName":"n"}')->renamed);
same('n', Shapes\Old::fromJson('{"@odd name\'s":"n"}')->atType);
same('{"@odd name\'s":"n"}', (new Shapes\Old(atType: 'n'))->toJson());
same('{"at_type":"n"}', (new Shapes\Old(atType: 'n'))->toJson(new JsonOptions(protoNames: true)));
same('ok', Scalars\Singular::fromJson('{"bytesValue":"b2s"}')->bytesValue);
same("\xfb\xff", Scalars\Singular::fromJson('{"bytesValue":"-_8="}')->bytesValue);
foreach ([
    '{"int32Value":1.5}', '{"int32Value":"1 "}', '{"int32Value":true}', '{"int32Value":2147483648}', '{"boolValue":"true"}', '{"boolValue":1}',
    '{"stringValue":1}', '{"bytesValue":"*"}', '{"bytesValue":"b"}', '{"nope":1}', '{"colorValue":"NOPE"}', '{"floatValue":1e39}', '{"doubleValue":1e400}',
    '{"doubleValue":"nan"}', '{"int32Value":1,"int32_value":1}', '[]', 'null', '1', '', '{', '{"stringValue":"\ud800"}', "{\"stringValue\":\"\xff\"}",
] as $json) {
    fails(DecodeException::class, '', static fn () => Scalars\Singular::fromJson($json));
}
same(1, Scalars\Singular::fromJson('{"nope":{},"colorValue":"NOPE","int32Value":1}', new JsonOptions(ignoreUnknown: true))->int32Value);
fails(DecodeException::class, 'twice', static fn () => Shapes\Tree::fromJson('{"text":"a","raw":"YQ=="}'));
fails(DecodeException::class, '', static fn () => Scalars\Packed::fromJson('{"int32Value":[1,null]}'));
fails(DecodeException::class, '', static fn () => Scalars\Keys::fromJson('{"boolKey":{"yes":"x"}}'));
same('{"doubleValue":-0}', (new Scalars\Singular(doubleValue: -0.0))->toJson());
same(\INF, \fdiv(1.0, \abs(Scalars\Singular::fromJson('{"doubleValue":-0,"stringValue":"\"-0,"}')->doubleValue)));
same('"-0,', Scalars\Singular::fromJson('{"doubleValue":-0,"stringValue":"\"-0,"}')->stringValue);
same('{"floatValue":0.1}', Scalars\Singular::decode((new Scalars\Singular(floatValue: 0.1))->encode())->toJson());
same('{"m":{"text":"a"}}', \json_encode(['m' => new Shapes\Tree(text: 'a')]));
same('{"colorValue":1}', (new Scalars\Singular(colorValue: Scalars\Color::RED))->toJson(new JsonOptions(enumsAsNumbers: true)));
same(true, \str_contains((new Scalars\Singular())->toJson(new JsonOptions(emitDefaults: true)), '"stringValue":"","bytesValue":"","colorValue":"COLOR_UNSPECIFIED"'));

// Maps keep keys of all types, numeric strings and booleans included.
$keys = new Scalars\Keys(stringKey: ['1' => 'a', '' => 'b', 'x' => 'c'], boolKey: [true => 'd', false => 'e'], int64Key: [-5 => 'f']);
same($keys->toJson(), Scalars\Keys::decode($keys->encode())->toJson());
same('{"int64Key":{"-5":"f"},"boolKey":{"true":"d","false":"e"},"stringKey":{"1":"a","":"b","x":"c"}}', $keys->toJson());

// Aliases name the same case.
same(Shapes\Aliased::NEW, Shapes\Aliased::OLD);
same(Shapes\Aliased::NEW, Shapes\Aliased::fromProtoName('ALIASED_OLD'));
same('ALIASED_NEW', Shapes\Aliased::OLD->protoName());

// Times keep nanoseconds, unless the application changed them; any offset is the same instant.
$json = '{"theTimestamp":"2024-02-29T23:59:59.123456789Z"}';
$time = Known\Singular::fromJson($json)->theTimestamp;
same('2024-02-29 23:59:59.123456 UTC', $time->setTimezone(new DateTimeZone('UTC'))->format('Y-m-d H:i:s.u T'));
same($json, Known\Singular::decode((new Known\Singular(theTimestamp: $time))->encode())->toJson());
same('{"theTimestamp":"2024-03-01T00:00:00Z"}', (new Known\Singular(theTimestamp: $time->modify('midnight')->modify('+1 day')))->toJson());
same('{"theTimestamp":"2024-01-01T00:00:00Z"}', (new Known\Singular(theTimestamp: new DateTimeImmutable('2024-01-01T02:00:00+02:00')))->toJson());
same('{"theTimestamp":"1969-12-31T23:59:58.500Z"}', Known\Singular::fromJson('{"theTimestamp":"1970-01-01T01:59:58.5+02:00"}')->toJson());
foreach (['0001-01-01T00:00:00Z', '0099-03-01T12:00:00.000001Z', '1900-02-28T00:00:00Z', '2000-02-29T00:00:00Z', '9999-12-31T23:59:59.999999999Z'] as $text) {
    same('{"theTimestamp":"' . $text . '"}', Known\Singular::fromJson('{"theTimestamp":"' . $text . '"}')->toJson());
}
foreach (['2023-02-29T00:00:00Z', '2024-01-01 00:00:00Z', '2024-01-01T24:00:00Z', '2024-01-01T00:00:00', '0001-01-01T00:00:00+01:00', '10000-01-01T00:00:00Z'] as $text) {
    fails(DecodeException::class, '', static fn () => Known\Singular::fromJson('{"theTimestamp":"' . $text . '"}'));
}
fails(DecodeException::class, 'outside the years', static fn () => Known\Singular::decode("\x0a\x0a\x08" . \str_repeat("\xff", 8) . "\x7f"));
same(1500, WellKnown\Duration::ofSeconds(1.5)->toMillis());
same('"-0.500s"', WellKnown\Duration::ofMillis(-500)->toJson());
fails(EncodeException::class, 'signs', static fn () => (new WellKnown\Duration(1, -1))->toJson());
fails(EncodeException::class, 'without JSON form', static fn () => WellKnown\FieldMask::of('Upper')->toJson());

// Any and Struct.
$types = TypeRegistry::fromManifest(...\array_map(static fn (string $d): string => $d . '/manifest.php', $generated));
$any = new Known\Singular(theAny: WellKnown\Any::pack(new Shapes\Tree(label: 'in')));
same('{"theAny":{"@type":"type.googleapis.com/test.shapes.v1.Tree","label":"in"}}', $any->toJson(new JsonOptions(types: $types)));
same('in', Known\Singular::fromJson($any->toJson(new JsonOptions(types: $types)), new JsonOptions(types: $types))->theAny->unpack(Shapes\Tree::class)->label);
fails(EncodeException::class, 'no class is registered', static fn () => $any->toJson());
fails(DecodeException::class, 'holds test.shapes.v1.Tree', static fn () => $any->theAny->unpack(Shapes\Old::class));
$struct = WellKnown\Struct::of(['a' => [1, 'b', null, ['c' => true]], 'd' => new stdClass(), '0' => []]);
same('{"a":[1,"b",null,{"c":true}],"d":{},"0":[]}', $struct->toJson());
same(['a' => [1.0, 'b', null, ['c' => true]], 'd' => [], 0 => []], WellKnown\Struct::decode($struct->encode())->toArray());

// A fake answers, remembers and refuses what it was not told.
$fake = new Service\FakeShopClient();
$fake->will('buy', new Service\BuyResponse(priceCents: 1))->will('buy', static fn (Service\BuyRequest $r) => new Service\BuyResponse(priceCents: \strlen($r->what)));
same(1, $fake->buy(new Service\BuyRequest('x'))->priceCents);
same([4, 3], [$fake->buy(new Service\BuyRequest('four'))->priceCents, $fake->buy(new Service\BuyRequest('six'), CallOptions::timeout(5))->priceCents]);
same(['buy', 'six', 5], [$fake->calls[2]->method, $fake->calls[2]->request()->what, $fake->calls[2]->options->timeoutMillis]);
fails(LogicException::class, "will('look', …) was not", static fn () => $fake->look(new Service\BuyRequest()));
fails(InvalidArgumentException::class, 'has no method nope', static fn () => $fake->will('nope', new Service\BuyResponse()));
$fake->will('look', [new Service\BuyResponse(1), new Service\BuyResponse(2)]);
foreach ($fake->look(new Service\BuyRequest()) as $response) {
    break;
}
same([1, true], [$response->priceCents, $fake->calls[\count($fake->calls) - 1]->cancelled]);
$fill = $fake->will('fill', static fn (array $sent) => new Service\BuyResponse(\count($sent)))->fill();
$fill->send(new Service\BuyRequest());
$fill->send(new Service\BuyRequest());
same(2, $fill->closeAndReceive()->priceCents);
$haggle = $fake->will('haggle', static fn (Service\BuyRequest $r) => new Service\BuyResponse(\strlen($r->what)))->haggle();
$haggle->send(new Service\BuyRequest('abc'));
$haggle->closeSend();
same([3, null], [$haggle->receive()->priceCents, $haggle->receive()]);

// Reasons become exceptions, with and without the enum's prefix; unknown ones stay plain.
$make = static fn (string $reason): RpcException => RpcException::of(new RpcError(StatusCode::NOT_FOUND, 'm', $reason), Service\Exception\ErrorReasonExceptions::class);
same(Service\Exception\SoldOutException::class, $make('SOLD_OUT')::class);
same(Service\Exception\SoldOutException::class, $make('ERROR_REASON_SOLD_OUT')::class);
same(Service\Exception\ClosedException::class, $make('SHUT')::class);
same(RpcException::class, $make('OTHER')::class);
same([5, 'm', null], [$make('SOLD_OUT')->getCode(), $make('SOLD_OUT')->getMessage(), $make('SOLD_OUT')->detail(Service\BuyRequest::class)]);

// A client hands the transport what the contract says.
$transport = new class implements Switchyard\Client\Transport {
    public array $seen = [];

    public function unary(Switchyard\Client\MethodDescriptor $method, Switchyard\Client\Message\Message $request, CallOptions $options): Switchyard\Client\Message\Message
    {
        $this->seen = [$method->path, $method->timeoutMillis, $method->idempotent, $method->scope, $method->exceptions, $options->timeoutMillis];

        return new $method->response();
    }

    public function serverStream(Switchyard\Client\MethodDescriptor $method, Switchyard\Client\Message\Message $request, CallOptions $options): Switchyard\Client\ServerStreamCall
    {
        throw new LogicException($method->idempotent ? 'idempotent' : 'not');
    }

    public function clientStream(Switchyard\Client\MethodDescriptor $method, CallOptions $options): Switchyard\Client\ClientStreamCall
    {
        throw new LogicException($method->idempotent ? 'idempotent' : 'not');
    }

    public function bidi(Switchyard\Client\MethodDescriptor $method, CallOptions $options): Switchyard\Client\BidiCall
    {
        throw new LogicException($method->idempotent ? 'idempotent' : 'not');
    }
};
$client = new Service\ShopClient($transport);
same(0, $client->buy(new Service\BuyRequest())->priceCents);
same(['/test.service.v1.ShopService/Buy', 1501, false, 'shop:buy', Service\Exception\ErrorReasonExceptions::class, null], $transport->seen);
$client->ping(new WellKnown\EmptyMessage(), CallOptions::timeout(7));
same(['/test.service.v1.ShopService/Ping', null, false, '', Service\Exception\ErrorReasonExceptions::class, 7], $transport->seen);
fails(LogicException::class, 'idempotent', static fn () => $client->look(new Service\BuyRequest()));
fails(LogicException::class, 'idempotent', static fn () => $client->fill());
fails(LogicException::class, 'not', static fn () => $client->haggle());

echo "ok\n";
