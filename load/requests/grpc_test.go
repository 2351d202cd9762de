package requests

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// shop is the descriptors of
//
//	package shop;
//	message Order { int32 id = 1; string item = 2; }
//	service Shop { rpc Buy(Order) returns (Order); rpc Watch(Order) returns (stream Order); }
func shop(t *testing.T) *Methods {
	t.Helper()
	field := func(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{Name: &name, Number: &number, Type: &kind, JsonName: &name, Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
	}
	method := func(name string, streams bool) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{Name: &name, InputType: proto.String(".shop.Order"), OutputType: proto.String(".shop.Order"), ServerStreaming: &streams}
	}
	set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
		Name: proto.String("shop.proto"), Package: proto.String("shop"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Order"), Field: []*descriptorpb.FieldDescriptorProto{
			field("id", 1, descriptorpb.FieldDescriptorProto_TYPE_INT32), field("item", 2, descriptorpb.FieldDescriptorProto_TYPE_STRING),
		}}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Shop"), Method: []*descriptorpb.MethodDescriptorProto{method("Buy", false), method("Watch", true)}}},
	}}}
	text, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ReadDescriptors(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEncodeGRPCMessage(t *testing.T) {
	got, err := shop(t).Encode("/shop.Shop/Buy", []byte(`{"id": 150, "item": "tea"}`))
	// Field 1 as varint 150 is 08 96 01, field 2 with 3 bytes 12 03 "tea":
	// Protocol Buffers, "Encoding".
	if want := "0896011203746561"; err != nil || hex.EncodeToString(got) != want {
		t.Errorf("got %x, %v; want %s", got, err, want)
	}
}

func TestEncodeGRPCMessageRefuses(t *testing.T) {
	for _, tt := range []struct{ path, json, want string }{
		{"shop.Shop/Buy", "{}", "write /package.Service/Method"},
		{"/shop.Shop", "{}", "write /package.Service/Method"},
		{"/shop.Stop/Buy", "{}", "know no service shop.Stop"},
		{"/shop.Order/Buy", "{}", "shop.Order is not a service"},
		{"/shop.Shop/Sell", "{}", "has no method Sell"},
		{"/shop.Shop/Watch", "{}", "only unary calls"},
		{"/shop.Shop/Buy", `{"price": 1}`, `unknown field "price"`},
		{"/shop.Shop/Buy", `{"id": "x"}`, "message shop.Order: "},
	} {
		if _, err := shop(t).Encode(tt.path, []byte(tt.json)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: got %v, want %q in it", tt.path, tt.json, err, tt.want)
		}
	}
	for _, text := range []string{"", "\xff\xff\xff"} {
		if _, err := ReadDescriptors(strings.NewReader(text)); err == nil {
			t.Errorf("%q was taken for descriptors", text)
		}
	}
}
